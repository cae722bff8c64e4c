namespace VirtKit.Execution;

/// <summary>Frozen translations of guest code, which machines that run the same code share. Thread-safe.</summary>
internal abstract class SharedCode
{
    private int _holders = 1;

    /// <summary>Keeps it until <see cref="Release"/>, for who holds it already by another.</summary>
    public SharedCode Hold()
    {
        Interlocked.Increment(ref _holders);
        return this;
    }

    /// <summary>Ends what <see cref="Hold"/> or the maker began.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
            Discard();
    }

    /// <summary>Gives it back: nobody holds it any more.</summary>
    protected abstract void Discard();
}
