using VirtKit.Engines;
using VirtKit.State;

namespace VirtKit.X86;

/// <summary>What a board or a host connects to the vCPUs of an x86-64 machine. The machine owns it. Set while the machine stands.</summary>
public sealed class X64Platform : IGuestPlatform
{
    private readonly IMachineEvents _events;
    private readonly AddressSpace?[] _apicPages;

    internal X64Platform(PartitionContext context) => (_events, _apicPages) = (context.Events, new AddressSpace?[context.VcpuCount]);

    /// <summary>What answers INTR, where the engine does not bring it: a PIC, or where <see cref="X64Architecture.HasLocalApics"/> is set an <see cref="IX64LocalApics"/>.
    /// Without it INTR is not taken.</summary>
    public IX64InterruptController? InterruptController { get; set; }

    /// <summary>The other interrupt chips, as the board shows them: it passes on to the engine's where that brings them. Without it the guest has those of the engine, if any.</summary>
    public IX64InterruptChips? InterruptChips { get; set; }

    /// <summary>Who answers for the MSRs that <see cref="X64Architecture.Msrs"/> lets the host emulate. Without it they raise #GP.</summary>
    public IMsrHandler? MsrHandler { get; set; }

    /// <summary><see cref="InterruptController"/>, for an engine whose machine <see cref="X64Architecture.HasLocalApics"/>.</summary>
    /// <exception cref="InvalidOperationException">It gives no local APICs, or has not been connected.</exception>
    public IX64LocalApics RequireLocalApics() => InterruptController as IX64LocalApics
        ?? throw new InvalidOperationException($"The machine is to have local APICs ({nameof(X64Architecture.HasLocalApics)}), and none were connected as {nameof(X64Platform)}.{nameof(InterruptController)}.");

    /// <summary>The platform of a machine, for who composes it.</summary>
    /// <param name="machine">A machine of the x86-64 architecture.</param>
    /// <exception cref="ArgumentException">The machine has another architecture.</exception>
    public static X64Platform Of(Machine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        return Of(machine.Context);
    }

    /// <summary>As <see cref="Of(Machine)"/>, for an engine.</summary>
    /// <param name="context">What the engine's partition is made for.</param>
    /// <exception cref="ArgumentException">The machine has another architecture.</exception>
    public static X64Platform Of(PartitionContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Platform as X64Platform ?? throw new ArgumentException($"The machine has {context.Architecture.Name} processors.", nameof(context));
    }

    /// <summary>The register page of a vCPU's local APIC, alone in a space of its own, so that the bus's rules of width and alignment hold for it as for every device. On the vCPU's
    /// thread.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <exception cref="InvalidOperationException">There are no local APICs, or none were connected.</exception>
    public AddressSpace ApicPage(int vcpu) => _apicPages[vcpu] ??= MapApic(RequireLocalApics()[vcpu]);

    void IGuestPlatform.Visit(StateVisitor visitor) => visitor.Version(1);

    void IGuestPlatform.VisitChips(StateVisitor visitor, EnginePartition partition)
    {
        ulong time = 0;
        var clock = partition as IX64ParavirtualClock;
        if (!visitor.IsReading)
            time = clock?.ParavirtualClock ?? 0;
        visitor.Field("paravirtual clock", ref time);
        if (visitor.IsReading && clock is not null)
            clock.ParavirtualClock = time;
        if ((InterruptChips ?? partition as IX64InterruptChips) is not { ArePresent: true } chips)
            return;
        X64InterruptChipsState state = default;
        if (!visitor.IsReading)
            chips.GetState(out state);
        visitor.Part("chips", ref state);
        if (visitor.IsReading)
            chips.SetState(in state);
    }

    bool IGuestPlatform.Holds(IDevice device) => InterruptChips?.Holds(device) ?? false;

    ISnapshotable? IGuestPlatform.StateOf(VcpuCore core) => core.StateAs<X64State>() is { } state ? new CoreState(state) : null;

    void IGuestPlatform.Release()
    {
        // The APICs are the board's, and may be shown by another machine later.
        foreach (AddressSpace page in _apicPages.OfType<AddressSpace>())
        {
            foreach (MemoryRegion region in page.Regions)
                page.Unmap(region);
        }
    }

    private AddressSpace MapApic(IX64LocalApic apic)
    {
        var page = new AddressSpace();
        page.Map(new Gpa(0), apic);
        page.DeviceFailed += (device, error) => _events.RequestStop(Failure.Exit("The local APIC failed", device, error));
        return page;
    }

    /// <summary>A vCPU's state that its engine hands out and takes.</summary>
    private sealed class CoreState(IVcpuState<X64State> core) : ISnapshotable
    {
        public void Visit(StateVisitor visitor)
        {
            core.GetState(out X64State state);
            visitor.Version(1);
            state.Visit(visitor);
            if (!visitor.IsReading)
                return;
            try
            {
                core.SetState(in state);
            }
            catch (ArgumentException e)
            {
                throw new InvalidSnapshotException($"The vCPU cannot be in the saved state: {e.Message}", e);
            }
        }
    }
}
