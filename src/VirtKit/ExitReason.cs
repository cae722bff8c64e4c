namespace VirtKit;

/// <summary>Why a vCPU or a machine came back to the host. Only what the host must decide is here: MMIO, port I/O and interrupts never surface.</summary>
public enum ExitReason
{
    /// <summary>The instruction budget is used up, exactly.</summary>
    BudgetExhausted,

    /// <summary><see cref="Vcpu.Kick"/> or a cancellation stopped it.</summary>
    Kicked,

    /// <summary>The guest waits for an interrupt and none is pending; of a machine as a whole, none can come (<see cref="MachineOptions.WhenHalted"/>).</summary>
    Halted,

    /// <summary>The guest powered the machine off; <see cref="VcpuExit.Code"/> is its exit code.</summary>
    Shutdown,

    /// <summary>The guest asked for a reset of the machine.</summary>
    Reset,

    /// <summary>The guest made a hypercall that the host has to answer.</summary>
    Hypercall,

    /// <summary>The guest reached a breakpoint that the host had set, or one step is done.</summary>
    Breakpoint,

    /// <summary>The guest is in a state that its architecture cannot leave: a triple fault, or a trap whose handler traps without end.</summary>
    Fault,

    /// <summary>The engine met something that it cannot carry out. The state is whole; another engine may step it.</summary>
    Unsupported,

    /// <summary>VirtKit or a device failed; <see cref="VcpuExit.Detail"/> says how. A guest must never be able to cause it.</summary>
    InternalError,

    /// <summary>The recording that the machine repeats is at its end (<see cref="Machine.Replay"/>).</summary>
    ReplayEnded,
}
