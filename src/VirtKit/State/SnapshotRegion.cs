using System.Runtime.CompilerServices;
using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>The content of one region of memory: an image, which machines show by their page tables, and the pages that have changed since it was made. Immutable; it has one owner,
/// who releases it, and others may hold it meanwhile.</summary>
/// <param name="start">The region's first address.</param>
/// <param name="size">Its length in bytes.</param>
/// <param name="isWritable">Whether it is RAM rather than ROM.</param>
/// <param name="image">The image, whose hold goes over to the region.</param>
/// <param name="changed">What differs from it; likewise.</param>
internal sealed unsafe class SnapshotRegion(ulong start, ulong size, bool isWritable, HostMemory image, ChangedPages changed)
{
    private const int PageSize = (int)AddressSpace.PageSize;

    /// <summary>From how many changed pages on it pays to make another image for machines that share it.</summary>
    private const int ManyPages = 256;

    private readonly Lock _gate = new();
    private HostMemory? _flattened;
    private int _restored;

    /// <summary>The pages of a region that is being read, where it has an image already.</summary>
    private SortedDictionary<long, (PageBlock Block, int Index)>? _written;

    public ulong Start => start;

    public ulong Size => size;

    public bool IsWritable => isWritable;

    /// <summary>Whether it is being read, and shares with another one what is not.</summary>
    public bool IsOfChanges => _written is not null;

    private HostMemory Image => image;

    private ChangedPages Changed => changed;

    /// <summary>What the host keeps for this content alone, in bytes: the pages that were copied for it.</summary>
    public long OwnBytes => changed.OwnCount * (long)PageSize;

    public static string Describe(ulong start, ulong size, bool isWritable) => $"{size >> 10} KiB of {(isWritable ? "RAM" : "ROM")} at 0x{start:x}";

    public override string ToString() => Describe(start, size, isWritable);

    /// <summary>Captures a region whose machine stands.</summary>
    public static SnapshotRegion Of(MemoryRegion region)
    {
        HostMemory memory = region.Memory!;
        HostMemory image = memory.Freeze();
        ChangedPages? earlier = null;
        try
        {
            ChangedPages changed = ChangedPages.None;
            if (memory.Shows(image))
            {
                earlier = region.Captured?.TryGetTarget(out SnapshotRegion? last) == true ? last.TryHoldChanged(image) : null;
                // Where the host does not tell which pages were written to, all of them are compared.
                bool isKnown = memory.TryFindOwnPages(out List<(long Offset, long Length)> candidates);
                changed = ChangedPages.Of(memory.Pointer, image, isKnown ? candidates : [(0, (long)region.Size)], earlier ?? ChangedPages.None);
            }

            var captured = new SnapshotRegion(region.Start.Value, region.Size, region.IsWritable, image, changed);
            region.Captured = new WeakReference<SnapshotRegion>(captured);
            return captured;
        }
        catch
        {
            image.Release();
            throw;
        }
        finally
        {
            earlier?.Release();
        }
    }

    /// <summary>A region whose content is yet to come (<see cref="Write"/>): zeroes, or what another one has.</summary>
    public static SnapshotRegion Begin(ulong start, ulong size, bool isWritable, SnapshotRegion? since)
    {
        if (since is null)
            return new SnapshotRegion(start, size, isWritable, HostMemory.Allocate(size), ChangedPages.None);
        since.Hold();
        return new SnapshotRegion(start, size, isWritable, since.Image, since.Changed) { _written = [] };
    }

    /// <summary>A region like another one, of which an image is all of the content.</summary>
    /// <param name="region">The other one.</param>
    /// <param name="image">The image, whose hold goes over to the region.</param>
    public static SnapshotRegion Showing(SnapshotRegion region, HostMemory image) => new(region.Start, region.Size, region.IsWritable, image, ChangedPages.None);

    /// <summary>Takes content, before anybody else knows of the region.</summary>
    /// <param name="offset">Where it lies, at a page's beginning.</param>
    /// <param name="bytes">The content, in whole pages.</param>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        if (_written is null)
        {
            image.Fill(offset, bytes);
            return;
        }

        PageBlock? block = null;
        for (int at = 0; at < bytes.Length; at += PageSize)
        {
            if (!_written.TryGetValue(offset + at, out (PageBlock Block, int Index) page))
                _written[offset + at] = page = (block ??= new PageBlock(bytes.Length / PageSize), at / PageSize);
            bytes.Slice(at, PageSize).CopyTo(new Span<byte>(page.Block[page.Index], PageSize));
        }
    }

    /// <summary>Ends what <see cref="Begin"/> began.</summary>
    public void End()
    {
        if (_written is null)
            return;
        ChangedPages since = changed;
        changed = since.With(_written);
        since.Release();
        _written = null;
    }

    /// <summary>Memory with this content, for <see cref="GiveTo"/>.</summary>
    /// <exception cref="VirtKitException">The host cannot map it.</exception>
    public HostMemory View()
    {
        if (Flattened() is { } whole)
            return HostMemory.ViewOf(whole);
        HostMemory view = HostMemory.ViewOf(image);
        foreach (long offset in changed.Offsets)
            view.Fill(offset, new ReadOnlySpan<byte>(changed.Find(offset), PageSize));
        return view;
    }

    /// <summary>Gives a region this content.</summary>
    /// <param name="region">The region.</param>
    /// <param name="view">A <see cref="View"/>, which goes over to it.</param>
    public void GiveTo(MemoryRegion region, HostMemory view)
    {
        region.Memory!.TakeOver(view);
        region.Captured = new WeakReference<SnapshotRegion>(this);
    }

    /// <summary>Keeps the content until <see cref="Release"/>.</summary>
    /// <exception cref="ObjectDisposedException">It was given back.</exception>
    public void Hold()
    {
        image.Hold();
        if (changed.TryHold())
            return;
        image.Release();
        throw new ObjectDisposedException(nameof(MachineSnapshot));
    }

    /// <summary>Ends what <see cref="Hold"/> began, or the owner's own hold.</summary>
    public void Release()
    {
        foreach (PageBlock block in _written?.Values.Select(page => page.Block).Distinct() ?? [])
            block.Release();
        _written = null;
        changed.Release();
        image.Release();
    }

    /// <summary>Lets go of what was made for machines. The owner's, before its <see cref="Release"/>.</summary>
    public void ForgetFlattened()
    {
        lock (_gate)
            _flattened?.Discard();
    }

    /// <summary>The pages that hold something, as ranges of at most so many bytes that are contiguous in the host's memory, in ascending order.</summary>
    public List<SnapshotPiece> Pieces(int most)
    {
        List<SnapshotPiece> pieces = [];
        foreach ((long offset, long length) in Candidates())
            AddPieces(pieces, offset, length, most, earlier: null);
        return pieces;
    }

    /// <summary>The ranges that may hold something else than zeroes, in ascending order.</summary>
    public IEnumerable<(long Offset, long Length)> Candidates() => Union(image.DataRanges());

    /// <summary>A part of the content; valid while the region holds it.</summary>
    /// <param name="offset">Where it begins, at a page's beginning.</param>
    /// <param name="length">Its length, in whole pages.</param>
    /// <param name="scratch">Where it is put together where it does not lie together in the host's memory; as long as it or longer.</param>
    public ReadOnlyMemory<byte> Read(long offset, int length, byte[] scratch)
    {
        if (!changed.HasAny(offset, length))
            return new SnapshotPiece(offset, (nint)(image.Pointer + offset), length).Memory;
        for (int page = 0; page < length; page += PageSize)
            new ReadOnlySpan<byte>(At(offset + page), PageSize).CopyTo(scratch.AsSpan(page));
        return scratch.AsMemory(0, length);
    }

    /// <summary>As <see cref="Pieces(int)"/>, the pages that differ from another content of the same size.</summary>
    public List<SnapshotPiece> PiecesSince(SnapshotRegion earlier, int most)
    {
        List<SnapshotPiece> pieces = [];
        IEnumerable<(long Offset, long Length)> candidates = ReferenceEquals(image, earlier.Image)
            ? earlier.Union(Union([]))
            : earlier.Union(Union(HostMemory.Merge(image.DataRanges(), earlier.Image.DataRanges())));
        foreach ((long offset, long length) in candidates)
            AddPieces(pieces, offset, length, most, earlier);
        return pieces;
    }

    /// <summary>The changed pages, if they are of this image and still there.</summary>
    private ChangedPages? TryHoldChanged(HostMemory wanted) => ReferenceEquals(wanted, image) && changed.TryHold() ? changed : null;

    private IEnumerable<(long Offset, long Length)> Union(IEnumerable<(long Offset, long Length)> ranges)
    {
        long[] offsets = changed.Offsets.ToArray();
        return offsets.Length == 0 ? ranges : HostMemory.Merge(ranges, offsets.Select(offset => (offset, (long)PageSize)));
    }

    /// <summary>Adds the pages of a range that hold something, or that differ from another content. A snapshot is often the first that a process saves, and there is a page for each of
    /// its megabytes 256 times: this does not wait for the runtime to find out that it is hot.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddPieces(List<SnapshotPiece> pieces, long offset, long length, int most, SnapshotRegion? earlier)
    {
        for (long page = offset; page < offset + length; page += PageSize)
        {
            var bytes = new ReadOnlySpan<byte>(At(page), PageSize);
            if (earlier is null ? !bytes.ContainsAnyExcept((byte)0) : bytes.SequenceEqual(new ReadOnlySpan<byte>(earlier.At(page), PageSize)))
                continue;
            SnapshotPiece last = pieces.Count == 0 ? default : pieces[^1];
            if (last.Length != 0 && last.Length < most && page == last.Offset + last.Length && (nint)At(page) == last.Address + last.Length)
                pieces[^1] = last with { Length = last.Length + PageSize };
            else
                pieces.Add(new SnapshotPiece(page, (nint)At(page), PageSize));
        }
    }

    /// <summary>A page's first byte.</summary>
    private byte* At(long offset)
    {
        byte* page = changed.Find(offset);
        return page is null ? image.Pointer + offset : page;
    }

    /// <summary>An image of the whole content, made once a second machine is to show it: the first one gets the changed pages as its own, which costs less than an image.</summary>
    private HostMemory? Flattened()
    {
        if (changed.Offsets.Length < ManyPages)
            return null;
        lock (_gate)
        {
            if (_flattened is not null || _restored++ == 0)
                return _flattened;
            HostMemory whole = HostMemory.Allocate(size);
            foreach (SnapshotPiece piece in Pieces(16 << 20))
                whole.Fill(piece.Offset, piece.Bytes);
            return _flattened = whole;
        }
    }
}

/// <summary>Bytes of a region that lie together in the host's memory as well.</summary>
/// <param name="Offset">Where they are in the region.</param>
/// <param name="Address">Their first byte; valid while the region holds its content.</param>
/// <param name="Length">How many.</param>
internal readonly unsafe record struct SnapshotPiece(long Offset, nint Address, int Length)
{
    public ReadOnlySpan<byte> Bytes => new((void*)Address, Length);

    /// <summary>As <see cref="Bytes"/>, for a stream.</summary>
    public ReadOnlyMemory<byte> Memory => new NativeMemoryManager((byte*)Address, Length).Memory;
}
