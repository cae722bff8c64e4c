namespace VirtKit.Boot;

/// <summary>The ledger of what the host has loaded into an <see cref="AddressSpace"/>: every loader claims its ranges here before it writes, so that a kernel, an initial
/// RAM disk, a device tree, page tables and a host's own data never overlap unseen.</summary>
/// <remarks>
/// It covers the time until the guest starts; what the guest does with its memory afterwards is its own affair. <see cref="Machine.Reset"/> empties it, and so does
/// <see cref="Clear"/>: what is loaded then is a new plan. The ranges never overlap. Thread-safe.
/// </remarks>
public sealed class LoadLedger
{
    private readonly AddressSpace _memory;
    private readonly Lock _gate = new();
    private volatile LoadedRange[] _ranges = [];

    internal LoadLedger(AddressSpace memory) => _memory = memory;

    /// <summary>The claims in ascending order, as a snapshot.</summary>
    public IReadOnlyList<LoadedRange> Ranges => _ranges;

    /// <summary>Claims a range without writing to it.</summary>
    /// <param name="name">What claims it, as messages name it: <c>the kernel</c>.</param>
    /// <param name="start">The first address.</param>
    /// <param name="size">The length in bytes, 1 or more.</param>
    /// <returns>The claim, for <see cref="Release"/>.</returns>
    /// <exception cref="ArgumentException">The name or the range is empty.</exception>
    /// <exception cref="InvalidImageException">The range is not wholly RAM or ROM.</exception>
    /// <exception cref="LoadOverlapException">It overlaps another; the exception names both.</exception>
    public LoadedRange Claim(string name, Gpa start, ulong size)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfZero(size);
        var range = new LoadedRange(name, start, size);
        CheckMemory(range);
        Add([range]);
        return range;
    }

    /// <summary>Claims a range and fills it, ROM included.</summary>
    /// <param name="name">What claims it, as messages name it: <c>the firmware</c>.</param>
    /// <param name="start">The first address.</param>
    /// <param name="content">The bytes, 1 or more.</param>
    /// <inheritdoc cref="Claim"/>
    public LoadedRange Write(string name, Gpa start, ReadOnlySpan<byte> content)
    {
        LoadedRange range = Claim(name, start, (ulong)content.Length);
        _memory.Write(start, content);
        return range;
    }

    /// <summary>Gives a claim up; memory keeps its bytes.</summary>
    /// <returns>Whether the claim was there.</returns>
    public bool Release(LoadedRange range)
    {
        ArgumentNullException.ThrowIfNull(range);
        lock (_gate)
        {
            int before = _ranges.Length;
            _ranges = [.. _ranges.Where(r => r != range)];
            return _ranges.Length != before;
        }
    }

    /// <summary>Forgets every claim; memory keeps its bytes.</summary>
    public void Clear()
    {
        lock (_gate)
            _ranges = [];
    }

    /// <summary>What claims a byte of a range, the highest where several do; <see langword="null"/> where the range is free.</summary>
    /// <param name="start">The first address.</param>
    /// <param name="size">The length in bytes, 1 or more; past the end of the address space it is cut.</param>
    public LoadedRange? FindOverlap(Gpa start, ulong size)
    {
        ArgumentOutOfRangeException.ThrowIfZero(size);
        Gpa last = new(start.Value + Math.Min(size - 1, ulong.MaxValue - start.Value));
        LoadedRange[] ranges = _ranges;
        // The ranges are disjoint and in order: the last one that begins at or before our end decides.
        int low = 0, high = ranges.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ranges[middle].Start <= last)
                low = middle + 1;
            else
                high = middle;
        }

        return low > 0 && ranges[low - 1].Last >= start ? ranges[low - 1] : null;
    }

    /// <summary>Finds the highest free place between two addresses. Whether it is memory is not looked at.</summary>
    /// <param name="size">The length in bytes, 1 or more.</param>
    /// <param name="alignment">What the place is a multiple of: a power of two.</param>
    /// <param name="low">The lowest address that it may have.</param>
    /// <param name="high">The first address behind where it may end.</param>
    /// <param name="start">The place.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryFindFree(ulong size, ulong alignment, Gpa low, Gpa high, out Gpa start)
    {
        ArgumentOutOfRangeException.ThrowIfZero(size);
        if (!ulong.IsPow2(alignment))
            throw new ArgumentOutOfRangeException(nameof(alignment), alignment, "An alignment is a power of two.");
        // Each step moves down past one range, so that the number of claims bounds the steps.
        for (ulong end = high.Value; end >= size;)
        {
            start = new Gpa((end - size) & ~(alignment - 1));
            if (start < low)
                break;
            if (FindOverlap(start, size) is not { } taken)
                return true;
            end = taken.Start.Value;
        }

        start = default;
        return false;
    }

    /// <summary>Adds claims that do not overlap one another: all of them or none.</summary>
    internal void Add(IReadOnlyList<LoadedRange> claims)
    {
        lock (_gate)
        {
            foreach (LoadedRange claim in claims)
            {
                if (FindOverlap(claim.Start, claim.Size) is { } taken)
                    throw new LoadOverlapException(claim, taken);
            }

            List<LoadedRange> ranges = [.. _ranges, .. claims];
            ranges.Sort((a, b) => a.Start.CompareTo(b.Start));
            _ranges = [.. ranges];
        }
    }

    /// <summary>Drops the claims of memory that is mapped no more.</summary>
    internal void Forget(Gpa start, ulong size)
    {
        lock (_gate)
            _ranges = [.. _ranges.Where(range => range.Last < start || range.Start >= start && range.Start - start >= size)];
    }

    internal void CheckMemory(LoadedRange range)
    {
        ulong left = range.Size - 1 <= ulong.MaxValue - range.Start.Value ? range.Size : throw NotMemory();
        for (Gpa at = range.Start; left > 0;)
        {
            if (_memory.Find(at) is not { IsMemory: true } region)
                throw NotMemory();
            ulong step = Math.Min(left, region.Size - (at - region.Start));
            left -= step;
            at += step;
        }

        InvalidImageException NotMemory() => new($"{range.ToSentenceStart()}, does not lie in the machine's memory.");
    }
}
