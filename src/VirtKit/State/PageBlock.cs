using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>Copies of pages that several snapshots share: it is freed when the last one of these is disposed of, or by the garbage collector. Thread-safe.</summary>
internal sealed unsafe class PageBlock
{
    private readonly NativeBlock _bytes;
    private readonly long _length;
    private int _holders = 1;

    /// <param name="count">How many pages.</param>
    /// <exception cref="VirtKitException">The host has no memory for them.</exception>
    public PageBlock(int count)
    {
        _length = count * (long)AddressSpace.PageSize;
        try
        {
            _bytes = NativeBlock.LazilyZeroed(checked((int)_length));
        }
        catch (Exception e) when (e is OutOfMemoryException or OverflowException)
        {
            throw new VirtKitException($"The host has no memory for {count} pages of a snapshot.", e);
        }

        GC.AddMemoryPressure(_length);
    }

    ~PageBlock() => GC.RemoveMemoryPressure(_length);

    /// <summary>A page's first byte; valid while the block is held.</summary>
    public byte* this[int page] => _bytes.Pointer + page * (long)AddressSpace.PageSize;

    public void Hold() => Interlocked.Increment(ref _holders);

    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
            _bytes.Dispose();
    }
}
