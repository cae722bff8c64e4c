using System.Buffers.Binary;
using System.IO.Hashing;

namespace VirtKit.State;

/// <summary>The kinds of sections of a snapshot file (docs/snapshot-format.md).</summary>
internal enum SectionKind : uint
{
    Header = 1,
    State = 2,
    Memory = 3,
    End = 4,
    Events = 5,
    Answers = 6,
    Image = 7,
}

/// <summary>The sections of a snapshot file: kind (4 bytes), number of the section (4), length of the content (8), content, XxHash3 of all of that (8).</summary>
internal sealed class SectionWriter(Stream stream)
{
    private readonly XxHash3 _hash = new();
    private uint _count;

    /// <summary>How many bytes have been written.</summary>
    public long Length { get; private set; }

    public ValueTask WriteAsync(SectionKind kind, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => WriteAsync(kind, default, content, cancellationToken);

    /// <param name="begin">The beginning of the content.</param>
    /// <param name="content">The rest.</param>
    public async ValueTask WriteAsync(SectionKind kind, ReadOnlyMemory<byte> begin, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        byte[] frame = new byte[SectionReader.HeadSize];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)kind);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(4), _count++);
        BinaryPrimitives.WriteInt64LittleEndian(frame.AsSpan(8), begin.Length + (long)content.Length);
        _hash.Append(frame);
        _hash.Append(begin.Span);
        _hash.Append(content.Span);
        byte[] hash = new byte[SectionReader.HashSize];
        BinaryPrimitives.WriteUInt64LittleEndian(hash, _hash.GetCurrentHashAsUInt64());
        _hash.Reset();
        await stream.WriteAsync((byte[])[.. frame, .. begin.Span], cancellationToken).ConfigureAwait(false);
        await stream.WriteAsync(content, cancellationToken).ConfigureAwait(false);
        await stream.WriteAsync(hash, cancellationToken).ConfigureAwait(false);
        Length += frame.Length + begin.Length + content.Length + hash.Length;
    }
}

/// <summary>Reads what <see cref="SectionWriter"/> wrote, which may be any bytes.</summary>
internal sealed class SectionReader(Stream stream)
{
    public const int HeadSize = 16, HashSize = 8;

    /// <summary>How much is read at once: a length that is not true is found out before more than this was allocated for it.</summary>
    private const int Step = 1 << 20;

    private readonly XxHash3 _hash = new();
    private byte[] _content = new byte[HeadSize];
    private uint _count;

    /// <summary>How many bytes have been read.</summary>
    public long Length { get; private set; }

    /// <summary>Reads the next section.</summary>
    /// <param name="most">The longest content.</param>
    /// <returns>The section; its content is valid until the next one is read.</returns>
    /// <exception cref="InvalidSnapshotException">It is truncated, damaged or too long.</exception>
    public async ValueTask<(SectionKind Kind, ReadOnlyMemory<byte> Content)> ReadAsync(Func<SectionKind, long> most, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> head = await ReadExactlyAsync(HeadSize, cancellationToken).ConfigureAwait(false);
        var kind = (SectionKind)BinaryPrimitives.ReadUInt32LittleEndian(head.Span);
        long length = BinaryPrimitives.ReadInt64LittleEndian(head.Span[8..]);
        if (!Enum.IsDefined(kind) || BinaryPrimitives.ReadUInt32LittleEndian(head.Span[4..]) != _count || length < 0 || length > most(kind))
            throw new InvalidSnapshotException($"The snapshot's section {_count} has no valid head.");
        _hash.Append(head.Span);
        ReadOnlyMemory<byte> whole = await ReadExactlyAsync((int)length + HashSize, cancellationToken).ConfigureAwait(false), content = whole[..(int)length];
        _hash.Append(content.Span);
        ulong expected = _hash.GetCurrentHashAsUInt64();
        _hash.Reset();
        if (BinaryPrimitives.ReadUInt64LittleEndian(whole.Span[(int)length..]) != expected)
            throw new InvalidSnapshotException($"The snapshot's section {_count} is damaged: its checksum does not fit.");
        _count++;
        Length += HeadSize + whole.Length;
        return (kind, content);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadExactlyAsync(int count, CancellationToken cancellationToken)
    {
        for (int done = 0; done < count;)
        {
            if (done == _content.Length)
                Array.Resize(ref _content, (int)Math.Min(count, Math.Max(2L * _content.Length, Step)));
            int read = await stream.ReadAsync(_content.AsMemory(done, Math.Min(count, _content.Length) - done), cancellationToken).ConfigureAwait(false);
            if (read == 0)
                throw new InvalidSnapshotException($"The snapshot is truncated in section {_count}.");
            done += read;
        }

        return _content.AsMemory(0, count);
    }
}
