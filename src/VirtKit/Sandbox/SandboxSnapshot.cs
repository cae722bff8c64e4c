namespace VirtKit.Sandboxing;

/// <summary>A sandbox's state at one moment: memory and registers. Sandboxes are made from it, each with its own copy on write. Immutable and thread-safe.</summary>
/// <remarks>The host keeps its memory until it is disposed of and no sandbox shows it any more; one that nobody disposes of is released by the garbage collector.</remarks>
public sealed class SandboxSnapshot : IDisposable
{
    private readonly SandboxState _state;
    private int _disposed;

    internal SandboxSnapshot(SandboxState state) => _state = state.Hold();

    /// <summary>Makes a sandbox in this state.</summary>
    /// <exception cref="ObjectDisposedException">The snapshot has been disposed of.</exception>
    /// <exception cref="VirtKitException">The host has no such memory.</exception>
    public Sandbox Fork() => new(Hold());

    /// <summary>Releases the snapshot. Sandboxes in this state, or that go back to it, go on.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
            _state.Release();
    }

    /// <summary>The state, held for the caller.</summary>
    internal SandboxState Hold()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        return _state.Hold();
    }
}
