using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>What a local APIC drives of its processor.</summary>
/// <param name="Intr"><see cref="X64Pin.Intr"/>.</param>
/// <param name="Nmi"><see cref="X64Pin.Nmi"/>.</param>
public sealed record ApicPins(InterruptLine Intr, InterruptLine Nmi)
{
    /// <summary><see cref="X64Pin.Init"/>; detached where the processor cannot be started by others.</summary>
    public InterruptLine Init { get; init; }

    /// <summary><see cref="X64Pin.StartUp"/>.</summary>
    public InterruptLine StartUp { get; init; }

    /// <summary>The pins of a vCPU.</summary>
    public static ApicPins Of(Vcpu vcpu)
    {
        ArgumentNullException.ThrowIfNull(vcpu);
        return new ApicPins(vcpu.Pin(X64Pin.Intr), vcpu.Pin(X64Pin.Nmi)) { Init = vcpu.Pin(X64Pin.Init), StartUp = vcpu.Pin(X64Pin.StartUp) };
    }
}
