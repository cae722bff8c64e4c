namespace VirtKit.X86;

/// <summary>The interrupt pins of an x86 vCPU, as <see cref="Vcpu.Pin"/> takes them.</summary>
public static class X64Pin
{
    /// <summary>INTR, level: while it is asserted and interrupts are enabled, the vCPU asks its <see cref="IX64InterruptController"/> for a vector.</summary>
    public const int Intr = 0;

    /// <summary>NMI, edge: asserting it makes one non-maskable interrupt pending.</summary>
    public const int Nmi = 1;

    /// <summary>INIT, edge: the vCPU returns to the state of <see cref="X64State.TakeInit"/>; one that is not the boot processor then waits for <see cref="StartUp"/>.</summary>
    public const int Init = 2;

    /// <summary>Start-up, edge: a vCPU that waits for it begins at <see cref="IX64LocalApic.StartUpPage"/>; any other ignores it.</summary>
    public const int StartUp = 3;
}

/// <summary>What answers the interrupt acknowledge cycle of a vCPU: a PIC, a local APIC. Called from the vCPU's thread; what it throws
/// stops the machine with <see cref="ExitReason.InternalError"/>.</summary>
public interface IX64InterruptController
{
    /// <summary>Takes the highest pending interrupt of a vCPU (SDM 3A §6.3.1).</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <returns>The vector, 0 to 255, or -1 when the request has gone meanwhile.</returns>
    int Acknowledge(int vcpu);

    /// <summary>The vCPU's task priority changed through CR8.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <param name="priority">CR8, 0 to 15.</param>
    void SetTaskPriority(int vcpu, byte priority);
}
