using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>Harts and RAM, nothing else, with an assembled guest at the start of RAM where every hart begins in M-mode. A guest ends by waiting for an interrupt
/// that never comes: <see cref="ExitReason.Halted"/>.</summary>
internal sealed class BareMachine : IDisposable
{
    public const ulong Ram = 0x8000_0000, Size = 4 << 20;

    private const ulong Plenty = 10_000_000;

    private readonly IReadOnlyDictionary<string, ulong> _symbols;

    public BareMachine(string engine, string source, int vcpus = 1, SbiOptions? sbi = null, string isa = RiscVArchitecture.FullIsa, ulong quantum = 100_000,
        VcpuScheduling scheduling = VcpuScheduling.Deterministic, ISbiConsole? console = null)
        : this(RiscVEngines.Create(engine), source, vcpus, sbi, isa, quantum, scheduling, console)
    {
    }

    public BareMachine(ExecutionEngine engine, string source, int vcpus = 1, SbiOptions? sbi = null, string isa = RiscVArchitecture.FullIsa, ulong quantum = 100_000,
        VcpuScheduling scheduling = VcpuScheduling.Deterministic, ISbiConsole? console = null)
    {
        Machine = new Machine(new MachineOptions
        {
            Architecture = new RiscVArchitecture { Sbi = sbi, Isa = isa }, Engine = engine, VcpuCount = vcpus, Quantum = quantum, Scheduling = scheduling,
        });
        RiscVPlatform.Of(Machine).DebugConsole = console;
        Machine.Memory.MapRam(new Gpa(Ram), Size);
        Machine.Memory.Write(new Gpa(Ram), RiscVAssembler.Assemble(source, Ram, out _symbols));
        foreach (Vcpu vcpu in Machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            state.Pc = Ram;
            if (sbi is not null)
            {
                state.Privilege = PrivilegeMode.Supervisor;
                state.X[10] = (ulong)vcpu.Index;
            }

            vcpu.SetState(state);
        }
    }

    public Machine Machine { get; }

    public Vcpu Vcpu => Machine.Vcpus[0];

    public RiscVState State
    {
        get => Vcpu.GetState<RiscVState>();
        set => Vcpu.SetState(value);
    }

    /// <summary>The address of a label.</summary>
    public ulong this[string label] => _symbols[label];

    /// <summary>Runs hart 0 until it waits.</summary>
    /// <returns>Its state then.</returns>
    public RiscVState RunToWait()
    {
        VcpuExit exit = Vcpu.Run(Plenty);
        Assert.True(exit.Reason == ExitReason.Halted, $"{exit}; {Describe(State)}");
        return State;
    }

    /// <summary>Runs one piece of code in a mode, with a trap to M ending it.</summary>
    /// <param name="change">Sets registers and CSRs before.</param>
    /// <param name="expected">For code that does not end, the budget that it runs out of is short.</param>
    /// <returns>The state in the M-mode handler: mcause 8 or 9 where the code ended in its own ecall.</returns>
    public RiscVState RunIn(PrivilegeMode mode, ulong pc, StateChange? change = null, ExitReason expected = ExitReason.Halted)
    {
        const ulong Handler = Ram + Size - 0x1000;
        Write(Handler, "wfi\nwfi");
        RiscVState state = State;
        state.Privilege = mode;
        state.Pc = pc;
        state.Mtvec = Handler;
        state.Mie = 0;
        state.Waiting = false;
        change?.Invoke(ref state);
        State = state;
        if (expected == ExitReason.Halted)
            return RunToWait();
        Assert.Equal(expected, Vcpu.Run(1).Reason);
        return State;
    }

    public ulong Read(ulong address)
    {
        Assert.True(Machine.Memory.TryRead(new Gpa(address), out ulong value));
        return value;
    }

    public void Write(ulong address, ulong value) => Assert.True(Machine.Memory.TryWrite(new Gpa(address), value));

    public void Write(ulong address, string source) => Machine.Memory.Write(new Gpa(address), RiscVAssembler.Assemble(source, address));

    public void Dispose() => Machine.Dispose();

    public delegate void StateChange(ref RiscVState state);

    public delegate void StateChange<in T>(ref RiscVState state, T value);

    internal static string Describe(in RiscVState s) => $"pc {s.Pc:x} {s.Privilege} mcause {s.Mcause:x} mepc {s.Mepc:x} mtval {s.Mtval:x} scause {s.Scause:x}";
}
