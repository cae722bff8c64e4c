namespace VirtKit;

/// <summary>What a machine does when no vCPU can go on by itself: each waits with every interrupt source off, or is stopped.</summary>
public enum HaltPolicy
{
    /// <summary>The run ends with <see cref="ExitReason.Halted"/>; the detail names each vCPU and why it cannot be woken.</summary>
    End,

    /// <summary>The run goes on: timers of devices fire (a watchdog may reset the machine), and the host may wake a vCPU by an interrupt that cannot be masked or by a stop.</summary>
    Wait,
}
