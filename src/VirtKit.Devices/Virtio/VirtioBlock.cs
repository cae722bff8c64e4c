using System.Buffers.Binary;
using System.Text;
using VirtKit.Devices.Storage;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>A disk (virtio-1.2 §5.2): read, write, flush, discard, write zeroes and get ID. Requests are carried out in order, within the driver's notification.</summary>
public sealed class VirtioBlock : VirtioDevice, IDisposable
{
    private const int SegmentMaximumBit = 2, ReadOnlyBit = 5, BlockSizeBit = 6, FlushBit = 9, DiscardBit = 13, WriteZeroesBit = 14;
    private const uint TypeIn = 0, TypeOut = 1, TypeFlush = 4, TypeGetId = 8, TypeDiscard = 11, TypeWriteZeroes = 13;
    private const byte StatusOk = 0, StatusIoError = 1, StatusUnsupported = 2;
    private const int HeaderSize = 16, RangeSize = 16, IdSize = 20;

    /// <summary>The most sectors of one range to discard or zero: 16 MiB, so that one request stays short.</summary>
    private const uint MaximumRangeSectors = 32768;

    private const int MaximumRanges = 16;
    private const int MaximumSegments = 254;
    private const uint UnmapFlag = 1;

    private readonly IBlockBackend _backend;
    private readonly byte[] _id = new byte[IdSize];

    /// <summary>Creates the disk.</summary>
    /// <param name="backend">What the bytes are kept in; stays the caller's. Until the device is disposed of, no other device has it.</param>
    /// <param name="id">The serial number that the guest reads: up to 20 ASCII characters.</param>
    /// <exception cref="ArgumentException">The ID is too long or not ASCII, or another device has the backend.</exception>
    public VirtioBlock(IBlockBackend backend, string id = "") : base("virtio-block", deviceId: 2, 256)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(id);
        if (id.Length > IdSize || !Ascii.IsValid(id))
            throw new ArgumentException($"A disk's ID has up to {IdSize} ASCII characters.", nameof(id));
        AttachedBackends.Attach(backend, this, nameof(backend));
        _backend = backend;
        Encoding.ASCII.GetBytes(id, _id);
    }

    /// <inheritdoc/>
    public override ulong Features => 1ul << SegmentMaximumBit | 1ul << BlockSizeBit | 1ul << FlushBit
        | (_backend.IsReadOnly ? 1ul << ReadOnlyBit : 1ul << DiscardBit | 1ul << WriteZeroesBit);

    /// <inheritdoc/>
    public override int ConfigurationSize => 60;

    /// <summary>Lets go of the backend.</summary>
    public void Dispose() => AttachedBackends.Detach(_backend, this);

    private ulong Sectors => (ulong)_backend.Length / IBlockBackend.SectorSize;

    /// <inheritdoc/>
    protected internal override void ReadConfiguration(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, Sectors); // capacity
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], MaximumSegments); // seg_max
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], IBlockBackend.SectorSize); // blk_size
        if (_backend.IsReadOnly)
            return;
        BinaryPrimitives.WriteUInt32LittleEndian(destination[36..], MaximumRangeSectors); // max_discard_sectors
        BinaryPrimitives.WriteUInt32LittleEndian(destination[40..], MaximumRanges); // max_discard_seg
        BinaryPrimitives.WriteUInt32LittleEndian(destination[44..], 1); // discard_sector_alignment
        BinaryPrimitives.WriteUInt32LittleEndian(destination[48..], MaximumRangeSectors); // max_write_zeroes_sectors
        BinaryPrimitives.WriteUInt32LittleEndian(destination[52..], 1); // max_write_zeroes_seg; 56, write_zeroes_may_unmap, is 0
    }

    /// <inheritdoc/>
    protected internal override void Process(int queue)
    {
        while (Queue(0).TryPeek(out DescriptorChain chain))
        {
            if (chain.Writable.Length == 0)
            {
                // Without a status byte there is nothing to answer with.
                Queue(0).Complete(0);
                continue;
            }

            GuestBuffer answer = chain.Writable.Slice(0, chain.Writable.Length - 1);
            byte status;
            try
            {
                status = Execute(chain.Readable, answer);
            }
            catch (IOException)
            {
                status = StatusIoError;
            }

            chain.Writable.Slice(answer.Length).CopyFrom([status]);
            // The status is the last byte of the chain, however much of the answer before it was of use.
            Queue(0).Complete((uint)chain.Writable.Length);
        }
    }

    /// <summary>What is saved of the disk is what its backend keeps in the process: the blocks of an overlay. Any other disk stays the host's affair.</summary>
    public override void Visit(StateVisitor visitor)
    {
        base.Visit(visitor);
        AttachedBackends.Visit(visitor, "disk", _backend);
    }

    private byte Execute(GuestBuffer request, GuestBuffer answer)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        if (request.CopyTo(header) < HeaderSize)
            return StatusIoError;
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        GuestBuffer payload = request.Slice(HeaderSize);
        switch (type)
        {
            case TypeIn:
                return Read(sector, answer);
            case TypeOut:
                return _backend.IsReadOnly ? StatusIoError : Write(sector, payload);
            case TypeFlush:
                // Nobody knows how long the host's storage takes: a flush is a turn of its own.
                Queue(0).Charge(Virtqueue.TurnBytes);
                _backend.Flush();
                return StatusOk;
            case TypeGetId:
                if (answer.Length < IdSize)
                    return StatusIoError;
                answer.CopyFrom(_id);
                return StatusOk;
            case TypeDiscard or TypeWriteZeroes when !_backend.IsReadOnly:
                return ChangeRanges(type, payload);
            default:
                return StatusUnsupported;
        }
    }

    private byte Read(ulong sector, GuestBuffer destination)
    {
        if (!TryLocate(sector, destination.Length, out long offset))
            return StatusIoError;
        foreach (Span<byte> span in destination)
        {
            _backend.Read(offset, span);
            offset += span.Length;
        }

        return StatusOk;
    }

    private byte Write(ulong sector, GuestBuffer source)
    {
        if (!TryLocate(sector, source.Length, out long offset))
            return StatusIoError;
        foreach (Span<byte> span in source)
        {
            _backend.Write(offset, span);
            offset += span.Length;
        }

        return StatusOk;
    }

    /// <summary>Discard and write zeroes: ranges of sector, count and flags (virtio-1.2 §5.2.6).</summary>
    private byte ChangeRanges(uint type, GuestBuffer payload)
    {
        int maximum = type == TypeDiscard ? MaximumRanges : 1;
        if (payload.Length == 0 || payload.Length % RangeSize != 0 || payload.Length / RangeSize > maximum)
            return StatusIoError;
        Span<byte> ranges = stackalloc byte[MaximumRanges * RangeSize];
        ranges = ranges[..payload.CopyTo(ranges)];
        for (; !ranges.IsEmpty; ranges = ranges[RangeSize..])
        {
            ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(ranges);
            uint count = BinaryPrimitives.ReadUInt32LittleEndian(ranges[8..]);
            uint flags = BinaryPrimitives.ReadUInt32LittleEndian(ranges[12..]);
            if ((flags & ~UnmapFlag) != 0 || (type == TypeDiscard && flags != 0))
                return StatusUnsupported;
            long length = (long)count * IBlockBackend.SectorSize;
            if (count > MaximumRangeSectors || !TryLocate(sector, length, out long offset))
                return StatusIoError;
            Queue(0).Charge(length);
            if (type == TypeDiscard)
                _backend.Discard(offset, length);
            else
                _backend.WriteZeroes(offset, length);
        }

        return StatusOk;
    }

    private bool TryLocate(ulong sector, long length, out long offset)
    {
        bool inside = length % IBlockBackend.SectorSize == 0 && sector <= Sectors && (ulong)length / IBlockBackend.SectorSize <= Sectors - sector;
        offset = inside ? (long)sector * IBlockBackend.SectorSize : 0;
        return inside;
    }
}
