namespace VirtKit.X86;

/// <summary>An interrupt controller that gives every vCPU a local APIC. <see cref="X64Architecture.HasLocalApics"/> tells an engine
/// of it, which asks for the APICs when it needs them, not before the machine is composed.</summary>
public interface IX64LocalApics : IX64InterruptController
{
    /// <summary>The local APIC of a vCPU.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    IX64LocalApic this[int vcpu] { get; }
}

/// <summary>A vCPU's local APIC as the engine that runs the vCPU deals with it (SDM 3A chapter 10).</summary>
/// <remarks>As a device it is the register page: the engine shows it to this vCPU alone, where IA32_APIC_BASE places it and while that enables it, and resets it with
/// the vCPU. The page is accessed by the vCPU's thread; everything else is for any thread.</remarks>
public interface IX64LocalApic : IDevice
{
    /// <summary>CR8: bits 7:4 of the task priority register, 0 to 15.</summary>
    byte TaskPriority { get; set; }

    /// <summary>The page of real-mode code, 0 to 255, of the last start-up message: where a vCPU begins that takes <see cref="X64Pin.StartUp"/>.</summary>
    byte StartUpPage { get; }

    /// <summary>IA32_TSC_DEADLINE (SDM 3A §10.5.4.1); 0 while the timer is not armed or not in that mode.</summary>
    ulong Deadline { get; }

    /// <summary>Writes IA32_TSC_DEADLINE.</summary>
    /// <param name="deadline">The value of the time-stamp counter; 0 disarms the timer. Ignored while the timer is in another mode.</param>
    /// <param name="delay">How long it takes until the vCPU's counter gets there, in nanoseconds; 0 where it has.</param>
    void SetDeadline(ulong deadline, ulong delay);

    /// <summary>Copies the registers out, for <see cref="X64State.Lapic"/>.</summary>
    /// <param name="page">1024 bytes: each register's four bytes at its offset.</param>
    void GetRegisters(Span<byte> page);

    /// <summary>Copies the registers in. A page without a version register holds no APIC, and changes nothing.</summary>
    /// <inheritdoc cref="GetRegisters"/>
    void SetRegisters(ReadOnlySpan<byte> page);
}
