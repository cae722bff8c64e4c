using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.State;

namespace VirtKit.RiscV;

/// <summary>The state as a whole, to and from the host: reset, snapshots, debuggers.</summary>
internal sealed unsafe partial class Hart
{
    /// <summary>What a hart is at power-on: in M-mode at address 0 (RV-Priv §3.4); one that has user mode alone, there.</summary>
    private RiscVState ResetState => System.User is not null ? UserState : new()
    {
        Privilege = PrivilegeMode.Machine, Mstatus = Mstatus.Fixed, Started = true, Reservation = ulong.MaxValue, Stimecmp = ulong.MaxValue,
    };

    public override void Reset()
    {
        ulong retired = Context->Retired;
        SetState(ResetState);
        Context->Retired = retired;
    }

    public void GetState(out RiscVState state)
    {
        ServeStart();
        state = State;
        state.Pc = Pc;
        state.X[0] = 0;
        state.Mip = SoftwarePending;
        state.Mcycle = ReadCounter(CycleInhibit, State.Mcycle);
        state.Minstret = ReadCounter(InstretInhibit, State.Minstret);
    }

    /// <summary>Takes a state over. Every register becomes what a write by software to a hart at power-on would leave of the given value.</summary>
    /// <exception cref="ArgumentException">The privilege mode is none; nothing has changed.</exception>
    public void SetState(in RiscVState state)
    {
        if (state.Privilege is not (PrivilegeMode.User or PrivilegeMode.Supervisor or PrivilegeMode.Machine))
            throw new ArgumentOutOfRangeException(nameof(state), state.Privilege, $"{nameof(RiscVState.Privilege)} is no privilege mode.");
        Volatile.Write(ref _startRequest, null);
        ForgetTraps();
        TakeExit();
        RiscVState legal = state;
        Legalize(ref legal);
        State = legal;
        Pc = legal.Pc;
        State.Mcycle = 0;
        State.Minstret = 0;
        WriteCounter(CycleInhibit, ref State.Mcycle, state.Mcycle, afterThis: 0);
        WriteCounter(InstretInhibit, ref State.Minstret, state.Minstret, afterThis: 0);
        SoftwarePending = State.Mip;
        Mmu.Pmp.Update(State);
        Mmu.Restart();
        StatusChanged();
        UpdateStimecmp();
        Engine?.CodeBytesChanged();
        RequestAttention();
    }

    protected override void VisitRegisters(StateVisitor visitor)
    {
        GetState(out RiscVState state);
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<RiscVState>(ref state));
        foreach (GuestRegister register in RiscVRegisters.All)
            register.Visit(visitor, bytes);
        visitor.Require(state.Privilege is PrivilegeMode.User or PrivilegeMode.Supervisor or PrivilegeMode.Machine, "privilege", $"is {state.Privilege}, no privilege mode");
        if (visitor.IsReading)
            SetState(state);
    }

    public override void GetRegisters(Span<byte> registers)
    {
        State.Pc = Pc;
        MemoryMarshal.Write(registers, in State);
    }

    public override void PutRegisters(ReadOnlySpan<byte> registers)
    {
        State = MemoryMarshal.Read<RiscVState>(registers);
        Pc = State.Pc;
        StatusChanged();
    }

    private void Legalize(ref RiscVState state)
    {
        RiscVState reset = ResetState;
        state.X[0] = 0;
        state.Pc = Warl.Address(state.Pc);
        state.Started = IsTrue(ref state.Started);
        state.Waiting = IsTrue(ref state.Waiting);
        state.Suspended = IsTrue(ref state.Suspended);
        state.Fcsr = Warl.Fcsr(state.Fcsr);
        state.Mstatus = Warl.Status(reset.Mstatus, state.Mstatus, Mstatus.Writable);
        state.Mtvec = Warl.TrapVector(state.Mtvec);
        state.Stvec = Warl.TrapVector(state.Stvec);
        state.Medeleg = Warl.ExceptionDelegation(state.Medeleg);
        state.Mideleg = Warl.InterruptDelegation(state.Mideleg);
        state.Mie = Warl.InterruptEnable(state.Mie);
        state.Mcounteren = Warl.CounterEnable(state.Mcounteren);
        state.Scounteren = Warl.CounterEnable(state.Scounteren);
        state.Mcountinhibit = Warl.CounterInhibit(state.Mcountinhibit);
        state.Menvcfg = Warl.Menvcfg(System.Instructions, reset.Menvcfg, state.Menvcfg);
        state.Senvcfg = Warl.Senvcfg(System.Instructions, reset.Senvcfg, state.Senvcfg);
        state.Mip &= Warl.PendingWritable(state.Menvcfg);
        state.Mepc = Warl.Address(state.Mepc);
        state.Sepc = Warl.Address(state.Sepc);
        state.Satp = Warl.Satp(reset.Satp, state.Satp);
        foreach (ref ulong address in (Span<ulong>)state.PmpAddress)
            address = Warl.ProtectedAddress(address);
        foreach (ref byte configuration in (Span<byte>)state.PmpConfiguration)
            configuration = Pmp.Legalize(0, configuration);
    }

    // A restored snapshot may bring any byte, and a byte that is neither 0 nor 1 is true to some comparisons and not to others.
    private static bool IsTrue(ref bool value) => Unsafe.As<bool, byte>(ref value) != 0;
}
