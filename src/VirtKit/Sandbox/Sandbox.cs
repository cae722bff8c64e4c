using VirtKit.Boot;
using VirtKit.Execution;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>A guest program in this process whose functions are called like local ones, and which can reach nothing but its own memory and what the host exposes. Made by a
/// <see cref="SandboxBuilder"/>, or by <see cref="Fork"/> of another.</summary>
/// <remarks>
/// One caller at a time: a second thread's call is refused with <see cref="InvalidOperationException"/>. A host function may call into the sandbox that called it. Different
/// sandboxes, also forks of one another, run in parallel. <see cref="Dispose"/> is for any thread; a call under way then ends with <see cref="ObjectDisposedException"/>.
/// After a call that failed the guest's memory is as the failure left it, and every call is refused until <see cref="Reset()"/>.
/// </remarks>
/// <example>
/// <code>
/// using Sandbox sandbox = new SandboxBuilder("plugin.elf").WithBudget(100_000_000).Build();
/// try
/// {
///     Console.WriteLine(sandbox.Call&lt;int&gt;("answer"));
/// }
/// catch (SandboxException e)
/// {
///     Console.WriteLine(e.Message);
///     sandbox.Reset();
/// }
/// </code>
/// </example>
public sealed partial class Sandbox : IDisposable
{
    private const int Nobody = 0, Parked = -1;

    private readonly SandboxProgram _program;
    private readonly Dictionary<string, SandboxFunction> _byName = new(StringComparer.Ordinal);
    private readonly List<UserRange> _callMemory = [];
    private SandboxState _origin;
    private SandboxCpu? _cpu;
    private SandboxException? _failure;

    /// <summary>What the CPU had retired before.</summary>
    private readonly ulong _startedAt;

    /// <summary>The thread whose call is under way.</summary>
    private int _owner;
    private volatile bool _disposed;

    /// <param name="state">Where it begins, whose hold goes over to it.</param>
    internal Sandbox(SandboxState state)
    {
        _program = state.Program;
        _origin = state;
        try
        {
            _cpu = state.Take();
        }
        catch
        {
            state.Release();
            throw;
        }

        Hart = _cpu.Hart;
        Space = _cpu.Space;
        GlobalPointer = _program.Image.GlobalPointer;
        _startedAt = _cpu.Retired;
        _outputLeft = _program.Options.Output;
        (Budget, Deadline) = (_program.Options.Budget, _program.Options.Deadline);
    }

    /// <summary>The name of the engine that runs it.</summary>
    public string Engine => _program.Engine;

    /// <summary>The most instructions of the next call; what the builder was told, unless set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is set to 0.</exception>
    public ulong Budget
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfZero(value);
            field = value;
        }
    }

    /// <summary>The most host time of the next call; what the builder was told, unless set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is set to what is neither positive nor infinite.</exception>
    public TimeSpan Deadline
    {
        get;
        set
        {
            if (value <= TimeSpan.Zero && value != Timeout.InfiniteTimeSpan)
                throw new ArgumentOutOfRangeException(nameof(value), value, "The time has to be positive.");
            field = value;
        }
    }

    /// <summary>Stops calls from any thread: the call ends with <see cref="OperationCanceledException"/>, within about a million instructions. None unless set.</summary>
    public CancellationToken Cancellation { get; set; }

    /// <summary>What it has used since it was made. Any thread; it may lag while a call is under way.</summary>
    public SandboxUsage Usage => new((_cpu?.Retired ?? _startedAt) - _startedAt, _calls, _hostCalls, _output, Space.Mapped);

    internal Hart Hart { get; }

    internal UserSpace Space { get; }

    internal SandboxLayout Layout => _program.Layout;

    internal ulong GlobalPointer { get; }

    /// <summary>Takes the state as that to which <see cref="Reset()"/> goes back. Takes time proportional to the memory that is in use.</summary>
    /// <returns>The state, for other sandboxes; dispose of it.</returns>
    /// <exception cref="InvalidOperationException">A call is under way, or the last one failed.</exception>
    /// <exception cref="ObjectDisposedException">The sandbox has been disposed of.</exception>
    public SandboxSnapshot Snapshot()
    {
        using Ownership owner = Own();
        ThrowIfFailed();
        SandboxCpu cpu = _cpu!;
        HostMemory image = cpu.Window.Copy();
        SandboxState state = _program.CreateState(image, Space.Ranges, Hart.UserRegisters);
        try
        {
            cpu.Window.TakeOver(HostMemory.ViewOf(image));
        }
        catch
        {
            state.Release();
            throw;
        }

        _origin.Release();
        _origin = state;
        return new SandboxSnapshot(state);
    }

    /// <summary>Goes back to the last <see cref="Snapshot"/>, or to where the sandbox began: memory and registers. Calls are possible again after one that failed.</summary>
    /// <exception cref="InvalidOperationException">A call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The sandbox has been disposed of.</exception>
    public void Reset()
    {
        using Ownership owner = Own();
        _origin.Restore(_cpu!);
        _callMemory.Clear();
        _outputLeft = _program.Options.Output;
        _failure = null;
    }

    /// <summary>Makes another sandbox in the state to which <see cref="Reset()"/> goes back, with the same functions of the host and the same limits. Any thread.</summary>
    /// <exception cref="ObjectDisposedException">The sandbox has been disposed of.</exception>
    /// <exception cref="VirtKitException">The host has no such memory.</exception>
    public Sandbox Fork()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Sandbox(Volatile.Read(ref _origin).Hold());
    }

    /// <summary>Releases the sandbox. Any thread; a call under way ends with <see cref="ObjectDisposedException"/>, and so does every later one. Idempotent.</summary>
    public void Dispose()
    {
        _disposed = true;
        int thread = Environment.CurrentManagedThreadId;
        if (Interlocked.CompareExchange(ref _owner, thread, Nobody) == Nobody || Interlocked.CompareExchange(ref _owner, thread, Parked) == Parked)
            Release();
        else
            _cpu?.RequestExit();
    }

    /// <summary>Gives everything back. By the owner, which it stays.</summary>
    private void Release()
    {
        if (Interlocked.Exchange(ref _cpu, null) is not { } cpu)
            return;
        if (cpu.Window.Shows(_origin.Image))
            _origin.Return(cpu);
        else
            cpu.Dispose();
        _origin.Release();
    }

    /// <summary>Takes the sandbox for an operation that is no call.</summary>
    private Ownership Own()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.CompareExchange(ref _owner, Environment.CurrentManagedThreadId, Nobody) != Nobody)
            throw Busy();
        return new Ownership(this);
    }

    private void Disown()
    {
        if (_disposed)
        {
            Release();
            return;
        }

        Volatile.Write(ref _owner, Nobody);
        // Disposed of meanwhile: who did found an owner.
        if (_disposed && Interlocked.CompareExchange(ref _owner, Environment.CurrentManagedThreadId, Nobody) == Nobody)
            Release();
    }

    private InvalidOperationException Busy() => new(Volatile.Read(ref _owner) == Parked
        ? "A call into the sandbox waits for a function of the host." : "A call into the sandbox is under way.");

    private void ThrowIfFailed()
    {
        if (_failure is { } failure)
            throw new InvalidOperationException($"The last call failed, and the sandbox was not reset since: {failure.Message}", failure);
    }

    private readonly ref struct Ownership(Sandbox sandbox)
    {
        public void Dispose() => sandbox.Disown();
    }
}
