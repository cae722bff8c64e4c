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

    /// <summary>Whether the <see cref="X64Platform.InterruptController"/> will be an <see cref="IX64LocalApics"/>, which gives every vCPU a local APIC. An engine that brings its own controllers
    /// does not ask.</summary>
    public bool HasLocalApics { get; init; }

    /// <summary>A port whose writes are hypercalls, the written value being the number: an OUT of any width to it is answered by <see cref="Machine.Hypercalls"/>, or comes back as
    /// <see cref="ExitReason.Hypercall"/> after the instruction. <see langword="null"/> for none. Unlike VMCALL it is the same on every host and engine.</summary>
    /// <remarks>VMCALL and VMMCALL are hypercalls in ring 0, where the engine forwards the number in RAX. Linux's KVM answers its own numbers itself and gives -1000 (KVM_ENOSYS) for those
    /// that it does not know, both without telling anybody; it forwards number 12 alone (KVM_HC_MAP_GPA_RANGE: RBX an aligned address, RCX a count of pages), with -1000 in RAX until it is
    /// answered. Where KVM emulates ring 0 (nested in software), its emulator runs VMCALL over and over: only the port is a way there.</remarks>
    public ushort? HypercallPort { get; init; }

    internal override Engines.IGuestPlatform CreatePlatform(Engines.PartitionContext context) => new X64Platform(context);
}
