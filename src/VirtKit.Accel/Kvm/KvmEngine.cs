using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>Runs x86-64 guests on the processor itself, through Linux's KVM.</summary>
/// <remarks>
/// It cannot count instructions: <see cref="VcpuCounters.Retired"/> stays 0, a budget is taken as nanoseconds of host time, at least one millisecond, and machines are
/// scheduled by <see cref="VcpuScheduling.Threads"/>, which is their default. A thread that runs a vCPU keeps real-time signal 63 blocked; the signal is never delivered.
/// Of KVM's paravirtual features a guest has those that its CPUID shows, and no others; the kernel's local APIC is needed for some (<see cref="KvmParavirtualFeatures"/>).
/// Writes that a device lets be posted (<see cref="IPostedWrites"/>) are gathered by the kernel and carried out when a vCPU leaves the guest next.
/// A state that is set is taken whole or refused whole, by the field's name. Of a triple fault, <see cref="VcpuExit.FirstTrap"/> is what began it as far as KVM has taken part:
/// AMD's processors forget it, Intel's report it only where KVM delivered the exception itself.
/// What KVM cannot carry out comes back as <see cref="ExitReason.Unsupported"/>, in front of the instruction, with the kernel's suberror as code.
/// </remarks>
public sealed class KvmEngine : ExecutionEngine
{
    private readonly KvmOptions _options;

    /// <summary>What the host offers does not change, and asking takes half a millisecond where CPUID itself is trapped: one engine asks once.</summary>
    private KvmHost? _host;

    /// <summary>Creates the engine.</summary>
    /// <param name="options">Its options; <see langword="null"/> for the defaults.</param>
    public KvmEngine(KvmOptions? options = null) => _options = options ?? new KvmOptions();

    /// <inheritdoc/>
    public override string Name => "kvm";

    /// <inheritdoc/>
    public override bool CountsInstructions => false;

    /// <inheritdoc/>
    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        if (architecture is not X64Architecture)
        {
            reason = $"KVM on x86-64 runs x86_64 guests, not {architecture.Name}.";
            return false;
        }

        if (!KvmSystem.TryOpen(_options.Device, out KvmSystem? system, out reason))
            return false;
        using (system)
        {
            if (_options.InterruptController == KvmInterruptController.Kernel && system!.Check(KvmCap.Irqchip) == 0)
                reason = "The kernel's KVM has no interrupt controller.";
        }

        return reason is null;
    }

    /// <inheritdoc/>
    public override EnginePartition CreatePartition(PartitionContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Architecture is not X64Architecture architecture)
            throw new VirtKitException($"KVM on x86-64 runs x86_64 guests, not {context.Architecture.Name}.");
        if (!KvmSystem.TryOpen(_options.Device, out KvmSystem? system, out string? reason))
            throw new VirtKitException(reason!);
        try
        {
            return new KvmPartition(system!, ReadHost(system!), context, architecture, _options);
        }
        catch
        {
            system!.Dispose();
            throw;
        }
    }

    /// <summary>The CPUID answers that the engine can offer a guest on this host: what <see cref="CpuidPolicy.Build"/> starts from.</summary>
    /// <exception cref="VirtKitException">KVM cannot be used; the message says why.</exception>
    public IReadOnlyList<CpuidEntry> ReadHostCpuid()
    {
        if (!KvmSystem.TryOpen(_options.Device, out KvmSystem? system, out string? reason))
            throw new VirtKitException(reason!);
        using (system)
            return ReadHost(system!).Offered;
    }

    // Two threads may both ask at first; they find the same.
    private KvmHost ReadHost(KvmSystem system)
    {
        if (_host is { } known)
            return known;
        CpuidEntry[] capable = system.ReadSupportedCpuid();
        // Older kernels leave it to us to know that the feature comes with the local APIC.
        if (system.Check(KvmCap.TscDeadlineTimer) > 0)
            capable = KvmCpuid.With(capable, "tsc_deadline");
        return _host = new KvmHost(capable, KvmCpuid.Offer(capable, _options.InterruptController), KvmMsrRules.Saved(system));
    }
}

/// <summary>What a host's KVM offers to every machine.</summary>
/// <param name="Capable">The CPUID answers that the kernel can give.</param>
/// <param name="Offered">Those that a policy starts from.</param>
/// <param name="SavedMsrs">The MSRs that a state holds.</param>
internal sealed record KvmHost(CpuidEntry[] Capable, CpuidEntry[] Offered, uint[] SavedMsrs);

/// <summary>Options of a <see cref="KvmEngine"/>.</summary>
public sealed record KvmOptions
{
    /// <summary>The device of the kernel's interface.</summary>
    public string Device { get; init; } = "/dev/kvm";

    /// <summary>Where interrupts are arbitrated.</summary>
    public KvmInterruptController InterruptController { get; init; } = KvmInterruptController.External;
}

/// <summary>Where the interrupt controllers of a machine are.</summary>
public enum KvmInterruptController
{
    /// <summary>Device models of the machine, through <see cref="X64Platform.InterruptController"/> and the vCPUs' pins.</summary>
    External,

    /// <summary>The kernel's PIC, IOAPIC, local APICs and PIT. HLT is then the kernel's, too.</summary>
    Kernel,
}
