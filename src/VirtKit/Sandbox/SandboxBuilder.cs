using VirtKit.Boot;
using VirtKit.Engines;

namespace VirtKit.Sandboxing;

/// <summary>Makes sandboxes of a guest program: a static riscv64 ELF file, position-independent or not, that runs without privileges and reaches nothing but its own memory and what
/// is exposed here. Used by one thread at a time; what it has built is independent of it.</summary>
/// <example>
/// <code>
/// using Sandbox sandbox = new SandboxBuilder("plugin.elf")
///     .Expose("log", (ReadOnlySpan&lt;byte&gt; text) =&gt; Console.WriteLine(Encoding.UTF8.GetString(text)))
///     .WithMemory(64 &lt;&lt; 20).WithBudget(100_000_000).Build();
/// long score = sandbox.Call&lt;long&gt;("score", 42, "a text");
/// </code>
/// </example>
public sealed partial class SandboxBuilder
{
    private const ulong LeastMemory = 64 << 10, MostMemory = 3UL << 30, LeastStack = 4 << 10;

    private readonly Dictionary<string, HostFunction> _functions = new(StringComparer.Ordinal);
    private readonly ElfImage _image;
    private SandboxOptions _options = new();

    /// <summary>Begins with a file.</summary>
    /// <param name="path">The guest program.</param>
    /// <exception cref="InvalidImageException">It is no riscv64 program.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public SandboxBuilder(string path) : this(File.ReadAllBytes(path)) { }

    /// <summary>Begins with a program in memory.</summary>
    /// <param name="program">The whole ELF file, which is not copied.</param>
    /// <exception cref="InvalidImageException">It is no riscv64 program.</exception>
    public SandboxBuilder(ReadOnlyMemory<byte> program) => _image = ElfImage.ParseProgram(program, ElfMachine.RiscV, mustBegin: false);

    /// <summary>Limits memory in all: the program, its heap, its stack, and what the host passes. 64 MiB unless set.</summary>
    /// <param name="bytes">64 KiB to 3 GiB.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is out of this range.</exception>
    public SandboxBuilder WithMemory(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, (long)LeastMemory);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, (long)MostMemory);
        _options = _options with { Memory = (ulong)bytes };
        return this;
    }

    /// <summary>Sets the size of the stack, which is part of memory. 256 KiB unless set.</summary>
    /// <param name="bytes">4 KiB to 1 GiB.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is out of this range.</exception>
    public SandboxBuilder WithStack(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, (int)LeastStack);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, 1 << 30);
        _options = _options with { Stack = (ulong)bytes };
        return this;
    }

    /// <summary>Limits the instructions of a call, those of calls within it included. The guest stops behind the very same instruction on every engine. Without limit unless set.</summary>
    /// <param name="instructions">The most instructions, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is 0.</exception>
    public SandboxBuilder WithBudget(ulong instructions)
    {
        ArgumentOutOfRangeException.ThrowIfZero(instructions);
        _options = _options with { Budget = instructions };
        return this;
    }

    /// <summary>Limits the host's time of a call, those of calls within it included. It is looked at about every million instructions and not while a host function runs. Without
    /// limit unless set.</summary>
    /// <param name="time">The most time, positive, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is neither.</exception>
    public SandboxBuilder WithDeadline(TimeSpan time)
    {
        if (time <= TimeSpan.Zero && time != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(nameof(time), time, "The time has to be positive.");
        _options = _options with { Deadline = time };
        return this;
    }

    /// <summary>Limits how deep host functions may call into the guest that called them. 8 unless set.</summary>
    /// <param name="depth">0 to 64 calls within the first.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is out of this range.</exception>
    public SandboxBuilder WithReentry(int depth)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(depth);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(depth, 64);
        _options = _options with { Reentry = depth };
        return this;
    }

    /// <summary>Takes what the guest logs (<c>virtkit_log</c>), a text a call, within <see cref="WithOutputLimit"/>. It goes nowhere unless set.</summary>
    /// <param name="log">Called on the thread that called into the guest.</param>
    /// <exception cref="ArgumentNullException">It is null.</exception>
    public SandboxBuilder WithLog(Action<string> log)
    {
        ArgumentNullException.ThrowIfNull(log);
        _options = _options with { Log = log };
        return this;
    }

    /// <summary>Limits the bytes that the guest may write to the host's log until it is reset. 1 MiB unless set.</summary>
    /// <param name="bytes">The most bytes, 0 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public SandboxBuilder WithOutputLimit(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        _options = _options with { Output = (ulong)bytes };
        return this;
    }

    /// <summary>Names the engine: the interpreter, or VirtKit.Accel's translator. The fastest that is there unless named.</summary>
    /// <exception cref="ArgumentNullException">It is null.</exception>
    public SandboxBuilder WithEngine(ExecutionEngine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        _options = _options with { Engine = engine };
        return this;
    }

    /// <summary>Makes a sandbox: loads the program, and calls its function <c>_initialize</c> if it has one, under the limits of a call.</summary>
    /// <exception cref="InvalidImageException">The program cannot run in a sandbox; the message says why.</exception>
    /// <exception cref="ArgumentException">The memory does not hold the program.</exception>
    /// <exception cref="SandboxException">Its <c>_initialize</c> failed.</exception>
    /// <exception cref="VirtKitException">The engine cannot run it here, or the host has no such memory.</exception>
    public Sandbox Build() => new SandboxProgram(new SandboxImage(_image, _options.Memory, _options.Stack), _functions, _options).Start();

    private SandboxBuilder Add(HostFunction? function, params ReadOnlySpan<string?> objections)
    {
        ArgumentNullException.ThrowIfNull(function);
        if (string.IsNullOrEmpty(function.Name))
            throw new ArgumentException("The name is null or empty.", nameof(function));
        foreach (string? objection in objections)
        {
            if (objection is not null)
                throw new ArgumentException(objection, nameof(function));
        }

        if (!_functions.TryAdd(function.Name, function))
            throw new ArgumentException($"{function.Name} is exposed already.", nameof(function));
        return this;
    }
}
