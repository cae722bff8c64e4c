using VirtKit.Boot;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>What all sandboxes of one program share: the image, the host's functions, the engine, and what the engine makes of the code. Thread-safe once it has started.</summary>
internal sealed class SandboxProgram
{
    private const ElfAccess WriteAndExecute = ElfAccess.Write | ElfAccess.Execute;

    private readonly HostFunction?[] _functions;
    private readonly ExecutionEngine _engine;
    private SoftwarePartition? _code;
    private int _states;

    public SandboxProgram(SandboxImage image, IReadOnlyDictionary<string, HostFunction> functions, SandboxOptions options)
    {
        Image = image;
        Options = options;
        _engine = options.Engine ?? EngineSelection.Choose(SandboxCpu.Architecture).Engine;
        if (!_engine.Supports(SandboxCpu.Architecture, out string? reason))
            throw new VirtKitException($"The engine {_engine.Name} cannot run a sandbox: {reason}");
        Memory = HostMemory.Allocate(image.Layout.Size);
        Ranges = image.Load(Memory);
        _functions = [.. image.Imports.Select(name => functions.GetValueOrDefault(name) ?? GuestServices.All.GetValueOrDefault(name))];
    }

    public SandboxImage Image { get; }

    public SandboxOptions Options { get; }

    public SandboxLayout Layout => Image.Layout;

    /// <summary>The engine's name.</summary>
    public string Engine => _engine.Name;

    private HostMemory Memory { get; }

    private UserRange[] Ranges { get; }

    /// <summary>The host's function for an import; <see langword="null"/> where none is exposed.</summary>
    public HostFunction? FunctionOf(int import) => _functions[import];

    /// <summary>Makes the first sandbox.</summary>
    public Sandbox Start()
    {
        // The loader's memory becomes the image, which every sandbox shows.
        HostMemory image = Memory.Freeze();
        Memory.Discard();
        var sandbox = new Sandbox(CreateState(image, Ranges, new RiscVUserRegisters()));
        try
        {
            if (Image.TryFindFunction("_initialize", out _))
            {
                sandbox.Call("_initialize");
                sandbox.Snapshot().Dispose();
            }

            return sandbox;
        }
        catch
        {
            sandbox.Dispose();
            throw;
        }
    }

    /// <summary>Makes a state, held by the caller.</summary>
    public SandboxState CreateState(HostMemory image, UserRange[] ranges, in RiscVUserRegisters registers)
    {
        Interlocked.Increment(ref _states);
        return new SandboxState(this, image, ranges, registers);
    }

    /// <summary>A state is gone; with the last one goes what the engine made of the code.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref _states) == 0)
            Interlocked.Exchange(ref _code, null)?.Dispose();
    }

    /// <summary>Makes a CPU.</summary>
    /// <param name="window">Its memory, which goes over to it.</param>
    /// <param name="ranges">Its pages.</param>
    public SandboxCpu CreateCpu(HostMemory window, UserRange[] ranges)
    {
        // Code that a guest can write is each sandbox's own: what one has made of it is wrong for another.
        bool shares = !Array.Exists(ranges, range => (range.Access & WriteAndExecute) == WriteAndExecute);
        var cpu = new SandboxCpu(_engine, window, Layout.Gate, shares ? Volatile.Read(ref _code) : null) { Space = { Ranges = ranges } };
        if (shares && _code is null)
            ShareCodeOf(cpu);
        return cpu;
    }

    private void ShareCodeOf(SandboxCpu cpu)
    {
        SoftwarePartition? code = cpu.Sibling();
        if (code is not null && Interlocked.CompareExchange(ref _code, code, null) is not null)
            code.Dispose();
    }
}
