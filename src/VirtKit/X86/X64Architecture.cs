namespace VirtKit.X86;

/// <summary>The x86-64 guest architecture, with what its machines show of the processor.</summary>
public sealed record X64Architecture : GuestArchitecture
{
    /// <inheritdoc/>
    public override string Name => "x86_64";

    /// <inheritdoc/>
    public override bool HasPorts => true;

    /// <summary>What CPUID answers.</summary>
    public CpuidPolicy Cpuid { get; init; } = CpuidPolicy.Host;

    /// <summary>What RDMSR and WRMSR do.</summary>
    public MsrPolicy Msrs { get; init; } = MsrPolicy.Default;

    /// <summary>The interrupt controller that drives pin <see cref="X64Pin.Intr"/>; <see langword="null"/> where none does, or where the engine brings its own.</summary>
    public IX64InterruptController? InterruptController { get; init; }

    /// <summary>A port whose writes are hypercalls: an OUT of any width to it comes back as <see cref="ExitReason.Hypercall"/> with the written value as code, after the
    /// instruction; the host reads arguments from registers and answers in them. <see langword="null"/> for none. Unlike VMCALL it is the same on every host and engine.</summary>
    public ushort? HypercallPort { get; init; }

    /// <summary>Who answers hypercalls while the vCPU goes on; <see langword="null"/> where each comes back as <see cref="ExitReason.Hypercall"/>.</summary>
    public IX64HypercallHandler? Hypercalls { get; init; }
}
