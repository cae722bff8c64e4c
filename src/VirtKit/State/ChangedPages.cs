using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>The pages of a region that differ from its image: what was written after that was made. Immutable; captures of one machine share what did not change between
/// them.</summary>
internal sealed unsafe class ChangedPages
{
    private const int PageSize = (int)AddressSpace.PageSize;

    /// <summary>Pages of a block, so that its length fits a number of 32 bits.</summary>
    private const int MaxBlock = 1 << 18;

    public static readonly ChangedPages None = new([], [], [], 0);

    private readonly long[] _offsets;
    private readonly (PageBlock Block, int Index)[] _pages;
    private readonly PageBlock[] _blocks;
    private int _holders = 1;

    private ChangedPages(long[] offsets, (PageBlock Block, int Index)[] pages, PageBlock[] blocks, int ownCount) => (_offsets, _pages, _blocks, OwnCount) = (offsets, pages, blocks, ownCount);

    /// <summary>Where the pages are, in ascending order.</summary>
    public ReadOnlySpan<long> Offsets => _offsets;

    /// <summary>How many of them were copied for this set, rather than shared with an earlier one.</summary>
    public int OwnCount { get; }

    /// <summary>A page's first byte; <see langword="null"/> where it is as in the image. Valid while the set is held.</summary>
    public byte* Find(long offset)
    {
        int at = _offsets.AsSpan().BinarySearch(offset);
        return at < 0 ? null : _pages[at].Block[_pages[at].Index];
    }

    /// <summary>Whether there is a page in a range.</summary>
    public bool HasAny(long offset, long length)
    {
        int at = _offsets.AsSpan().BinarySearch(offset);
        return at >= 0 || (~at < _offsets.Length && _offsets[~at] < offset + length);
    }

    /// <summary>Copies the pages of a memory that differ from an image.</summary>
    /// <param name="memory">The memory's first byte.</param>
    /// <param name="image">The image.</param>
    /// <param name="candidates">The pages that may differ, in ascending order.</param>
    /// <param name="earlier">A set of the same image, whose pages are shared where they are the same.</param>
    public static ChangedPages Of(byte* memory, HostMemory image, IEnumerable<(long Offset, long Length)> candidates, ChangedPages earlier)
    {
        List<long> offsets = [];
        List<(PageBlock? Block, int Index)> pages = [];
        int own = 0;
        foreach ((long offset, long length) in candidates)
        {
            using IEnumerator<(long Offset, long Length)> data = image.DataRanges(offset, length).GetEnumerator();
            (long Offset, long Length) last = default;
            for (long page = offset; page < offset + length; page += PageSize)
            {
                while (page >= last.Offset + last.Length && data.MoveNext())
                    last = data.Current;
                bool isData = page >= last.Offset && page < last.Offset + last.Length;
                int at = earlier._offsets.AsSpan().BinarySearch(page);
                ReadOnlySpan<byte> content = new(memory + page, PageSize);
                if (at >= 0 && content.SequenceEqual(new ReadOnlySpan<byte>(earlier._pages[at].Block[earlier._pages[at].Index], PageSize)))
                    pages.Add(earlier._pages[at]);
                else if (isData ? content.SequenceEqual(new ReadOnlySpan<byte>(image.Pointer + page, PageSize)) : !content.ContainsAnyExcept((byte)0))
                    continue;
                else
                    pages.Add((null, own++));
                offsets.Add(page);
            }
        }

        return offsets.Count == 0 ? None : Copy(memory, offsets, pages, own);
    }

    /// <summary>This set with other pages over it.</summary>
    /// <param name="pages">The pages, whose blocks' holds go over to the new set.</param>
    public ChangedPages With(SortedDictionary<long, (PageBlock Block, int Index)> pages)
    {
        var all = new SortedDictionary<long, (PageBlock Block, int Index)>(pages);
        for (int i = 0; i < _offsets.Length; i++)
            all.TryAdd(_offsets[i], _pages[i]);
        PageBlock[] made = [.. pages.Values.Select(page => page.Block).Distinct()], shared = [.. all.Values.Select(page => page.Block).Distinct().Except(made)];
        foreach (PageBlock block in shared)
            block.Hold();
        return new ChangedPages([.. all.Keys], [.. all.Values], [.. made, .. shared], pages.Count);
    }

    /// <summary>Keeps the pages until <see cref="Release"/>.</summary>
    /// <returns>Whether they are still there.</returns>
    public bool TryHold()
    {
        for (int holders = Volatile.Read(ref _holders); holders != 0;)
        {
            int before = Interlocked.CompareExchange(ref _holders, holders + 1, holders);
            if (before == holders)
                return true;
            holders = before;
        }

        return false;
    }

    /// <summary>Ends what <see cref="TryHold"/> began, or the maker's own hold.</summary>
    public void Release()
    {
        // Nobody counts who has no pages.
        if (_blocks.Length == 0 || Interlocked.Decrement(ref _holders) != 0)
            return;
        foreach (PageBlock block in _blocks)
            block.Release();
    }

    private static ChangedPages Copy(byte* memory, List<long> offsets, List<(PageBlock? Block, int Index)> pages, int own)
    {
        List<PageBlock> made = [];
        try
        {
            for (int begin = 0; begin < own; begin += MaxBlock)
                made.Add(new PageBlock(Math.Min(own - begin, MaxBlock)));
            var found = new (PageBlock Block, int Index)[pages.Count];
            HashSet<PageBlock> shared = [];
            for (int i = 0; i < found.Length; i++)
            {
                (PageBlock? block, int index) = pages[i];
                found[i] = block is null ? (made[index / MaxBlock], index % MaxBlock) : (block, index);
                if (block is not null)
                    shared.Add(block);
                else
                    Buffer.MemoryCopy(memory + offsets[i], found[i].Block[found[i].Index], PageSize, PageSize);
            }

            foreach (PageBlock block in shared)
                block.Hold();
            return new ChangedPages([.. offsets], found, [.. made, .. shared], own);
        }
        catch
        {
            made.ForEach(block => block.Release());
            throw;
        }
    }
}
