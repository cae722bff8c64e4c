using VirtKit.Engines;

namespace VirtKit.Tests.Support;

/// <summary>An architecture that only <see cref="FakeEngine"/> runs.</summary>
internal sealed record FakeArchitecture : GuestArchitecture
{
    public override string Name => "fake";
}

/// <summary>The state of a fake vCPU: how many instructions it has retired.</summary>
internal struct FakeState
{
    public ulong Retired;
}

/// <summary>An engine whose guest is a C# delegate called once for each instruction. It keeps the contract of <see cref="VcpuCore"/> to the letter, so that
/// schedulers and the machine are tested without an ISA.</summary>
/// <param name="instruction">Executes one instruction of a core; an exit ends the run, <see langword="null"/> goes on.</param>
internal sealed class FakeEngine(Func<FakeCore, VcpuExit?> instruction) : ExecutionEngine
{
    public List<FakeCore> Cores { get; } = [];

    public bool PartitionDisposed { get; private set; }

    public override string Name => "fake";

    public bool Counts { get; init; } = true;

    public override bool CountsInstructions => Counts;

    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        reason = architecture is FakeArchitecture ? null : "it is not fake";
        return reason is null;
    }

    public override EnginePartition CreatePartition(PartitionContext context) => new Partition(this, context);

    /// <summary>A machine of this engine.</summary>
    public Machine Compose(int vcpus = 1, VcpuScheduling scheduling = VcpuScheduling.Deterministic, ulong quantum = 100) => new(new MachineOptions
    {
        Architecture = new FakeArchitecture(),
        Engine = this,
        VcpuCount = vcpus,
        Scheduling = scheduling,
        Quantum = quantum,
    });

    private sealed class Partition(FakeEngine engine, PartitionContext context) : EnginePartition
    {
        public override VcpuCore CreateVcpu(int index)
        {
            var core = new FakeCore(index, context, engine.Instruction);
            engine.Cores.Add(core);
            return core;
        }

        protected override void Dispose(bool disposing)
        {
            engine.PartitionDisposed = true;
            base.Dispose(disposing);
        }
    }

    private VcpuExit? Instruction(FakeCore core) => instruction(core);
}

/// <summary>One vCPU of a <see cref="FakeEngine"/>.</summary>
internal sealed class FakeCore(int index, PartitionContext context, Func<FakeCore, VcpuExit?> instruction) : VcpuCore, IVcpuState<FakeState>
{
    private readonly Lock _gate = new();
    private volatile bool _exitRequested, _sliceEnded, _waiting;
    private ulong _retired, _pins;

    public int Index => index;

    public PartitionContext Context => context;

    public bool Disposed { get; private set; }

    public int Resets { get; private set; }

    public ulong Pins => Volatile.Read(ref _pins);

    public override bool HasWork => !_waiting || Pins != 0;

    public override ulong Retired => Volatile.Read(ref _retired);

    public override VcpuCounters Counters => new(Retired, 1, 2, 3, 4);

    /// <summary>The guest's wait-for-interrupt: ends with a pin asserted.</summary>
    public void WaitForInterrupt() => _waiting = true;

    public override VcpuExit Run(ulong budget)
    {
        ulong end = budget == ulong.MaxValue ? ulong.MaxValue : _retired + budget;
        _sliceEnded = false;
        while (true)
        {
            if (_exitRequested)
            {
                _exitRequested = false;
                return new VcpuExit(ExitReason.Kicked);
            }

            if (!HasWork)
                return new VcpuExit(ExitReason.Halted);
            if (_sliceEnded || _retired == end)
                return new VcpuExit(ExitReason.BudgetExhausted);
            _waiting = false;
            VcpuExit? exit = instruction(this);
            Volatile.Write(ref _retired, _retired + 1);
            if (exit is { } e)
                return e;
        }
    }

    public override void RequestExit() => _exitRequested = true;

    public override void EndSlice() => _sliceEnded = true;

    public override void SetPin(int pin, bool level)
    {
        lock (_gate)
            Volatile.Write(ref _pins, level ? _pins | 1UL << pin : _pins & ~(1UL << pin));
    }

    public override void Reset()
    {
        Resets++;
        _waiting = false;
    }

    public void GetState(out FakeState state) => state = new FakeState { Retired = Retired };

    public void SetState(in FakeState state) => Volatile.Write(ref _retired, state.Retired);

    protected override void Dispose(bool disposing)
    {
        Disposed = true;
        base.Dispose(disposing);
    }
}
