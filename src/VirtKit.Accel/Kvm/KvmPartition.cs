using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>One virtual machine of the kernel: what KVM offers for it beyond the engine SPI. <see cref="Machine.Partition"/> is of this type where the engine is <see cref="KvmEngine"/>.</summary>
/// <remarks>Thread-safe, but for what asks that no vCPU runs. Once its machine has been disposed of, requests fail with <see cref="VirtKitException"/> and lines reach nobody.</remarks>
public sealed unsafe class KvmPartition : EnginePartition, IX64InterruptChips, IX64ParavirtualClock, IInterruptSink
{
    /// <summary>Intel processors without unrestricted guest mode need three pages and one that no guest uses; the place under the BIOS's last 16 MiB is customary.</summary>
    private const uint IdentityMap = 0xfeff_c000, TaskState = IdentityMap + 0x1000;

    private readonly KvmSystem _system;
    private readonly KvmDescriptor _vm;
    private readonly KvmMemory _memory;
    private readonly KvmPostedWrites _postedWrites;
    private readonly PartitionContext _context;
    private readonly X64Architecture _architecture;
    private readonly KvmOptions _options;
    private readonly KvmHost _host;
    private readonly List<CpuidTable> _cpuid = [];
    private readonly KvmTscDeadline? _tscDeadline;
    private readonly bool _answersDeadline;
    private readonly KvmGuestClocks _clocks;
    private X64InterruptChipsState _chipsAtPowerOn;

    internal KvmPartition(KvmSystem system, KvmHost host, PartitionContext context, X64Architecture architecture, KvmOptions options)
    {
        _system = system;
        _context = context;
        _architecture = architecture;
        _options = options;
        _host = host;
        if (!HasKernelController && architecture.HasLocalApics && system.Check(KvmCap.GetTscKhz) > 0)
        {
            _tscDeadline = new KvmTscDeadline(X64Platform.Of(context));
            _host = host with { Offered = KvmCpuid.With(host.Offered, "tsc_deadline") };
            // The policy's own rule for it, if there is one, comes first.
            _answersDeadline = !architecture.Msrs.Rules.ContainsKey(KvmTscDeadline.Msr);
            if (_answersDeadline)
                _architecture = architecture with { Msrs = architecture.Msrs.Emulate(KvmTscDeadline.Msr) };
        }

        int most = system.Check(KvmCap.MaxVcpus);
        if (most > 0 && context.VcpuCount > most)
            throw new VirtKitException($"The kernel's KVM runs at most {most} vCPUs in a machine.");
        _vm = system.CreateVm();
        _clocks = new KvmGuestClocks(_vm, system);
        try
        {
            Configure();
            _memory = new KvmMemory(_vm, context.Memory);
            _postedWrites = new KvmPostedWrites(_vm, system, context.Memory, context.Ports);
        }
        catch
        {
            _memory?.Dispose();
            _vm.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ulong ParavirtualClock
    {
        get
        {
            KvmClock clock = default;
            _vm.Call(KvmIoctl.GetClock, ref clock, "read the paravirtual clock");
            return clock.Clock;
        }

        set
        {
            using MachineHold hold = HoldMachine("KvmPartition.ParavirtualClock");
            var clock = new KvmClock { Clock = value };
            _vm.Call(KvmIoctl.SetClock, ref clock, "set the paravirtual clock");
            _clocks.NoteSet();
        }
    }

    /// <summary>What CPUID answers on each vCPU in truth, with the audit of what the policy changed and of what the kernel shows in spite of it.</summary>
    public IReadOnlyList<CpuidTable> Cpuid => _cpuid;

    /// <inheritdoc/>
    public bool ArePresent => HasKernelController;

    /// <inheritdoc/>
    public InterruptLine Input(int input)
    {
        RequireInput(input);
        return new InterruptLine(this, input);
    }

    /// <inheritdoc/>
    public void GetState(out X64InterruptChipsState state)
    {
        RequireKernelController();
        using MachineHold hold = HoldMachine("KvmPartition.GetState");
        KvmChips.Get(_vm, out state);
    }

    /// <inheritdoc/>
    public void SetState(in X64InterruptChipsState state)
    {
        RequireKernelController();
        using MachineHold hold = HoldMachine("KvmPartition.SetState");
        KvmChips.Set(_vm, in state);
    }

    void IInterruptSink.SetInput(int input, bool level)
    {
        var argument = new KvmIrqLevel { Irq = (uint)input, Level = level ? 1u : 0 };
        // A device must not fail for it: the kernel refuses only what a machine that is being taken down asks.
        _vm.TryCall(KvmIoctl.IrqLine, ref argument);
    }

    /// <inheritdoc/>
    public override VcpuCore CreateVcpu(int index)
    {
        var vcpu = new KvmDescriptor(_vm.Call(KvmIoctl.CreateVcpu, index, $"create vCPU {index}"));
        try
        {
            // A paravirtual feature that CPUID does not show is then not there either.
            Enable(vcpu, KvmCap.EnforcePvFeatureCpuid, 1);
            CpuidTable table = KvmCpuid.Set(vcpu, _architecture.Cpuid.Build(_host.Offered, index, _context.VcpuCount));
            _cpuid.Add(table.WithWithheld(_host.Capable, _host.Offered, KvmCpuid.WithheldReason));
            _tscDeadline?.Add(vcpu, table);
            _clocks.Add(vcpu);
            return new KvmVcpuCore(index, vcpu, _system.RunSize, new KvmRegisterFile(vcpu, _vm, _system, _host.SavedMsrs, HasKernelController), _context, _architecture, _postedWrites, HasKernelController,
                _tscDeadline, _answersDeadline, table, index == 0 && HasKernelController ? ResetChips : null);
        }
        catch
        {
            vcpu.Dispose();
            throw;
        }
    }

    /// <summary>Sets the guest's time-stamp counters and paravirtual clock back by what the machine stood still for, if its time is held and that was ten milliseconds or more, and
    /// tells the guest of the pause (KVM_KVMCLOCK_CTRL), so that its watchdogs stay quiet. The timers of the kernel's own interrupt controllers and PIT run on in the pause:
    /// at most one interrupt of each is early then.</summary>
    /// <inheritdoc/>
    protected internal override void GoOn(TimeSpan stood, bool timeHeld) => _clocks.GoOn(stood, timeHeld);

    /// <summary>Starts recording which pages of a RAM region the guest writes. Costs a fault for each first write to a page between two collections.</summary>
    /// <exception cref="ArgumentException">The region is not memory of this machine.</exception>
    public void StartDirtyLog(MemoryRegion region) => _memory.SetLog(region, KvmUserspaceMemoryRegion.LogDirtyPages);

    /// <summary>Stops recording.</summary>
    /// <inheritdoc cref="StartDirtyLog"/>
    public void StopDirtyLog(MemoryRegion region) => _memory.SetLog(region, 0);

    /// <summary>Hands out which pages the guest has written since the last call, and forgets them. Writes by the host are not recorded.</summary>
    /// <param name="region">The region.</param>
    /// <param name="bitmap">One bit for each page of <see cref="AddressSpace.PageSize"/>, the first page in bit 0 of the first element: at least <c>(pages + 63) / 64</c> elements.</param>
    /// <exception cref="ArgumentException">The region is not memory of this machine, or the bitmap is too short.</exception>
    /// <exception cref="InvalidOperationException">No log has been started.</exception>
    public void CollectDirtyPages(MemoryRegion region, Span<ulong> bitmap)
    {
        ArgumentNullException.ThrowIfNull(region);
        ulong words = ((region.Size / AddressSpace.PageSize) + 63) / 64;
        if ((ulong)bitmap.Length < words)
            throw new ArgumentException($"The bitmap of {region.Name} needs {words} elements.", nameof(bitmap));
        _memory.Collect(region, bitmap);
    }

    /// <summary>Creates an event whose signal raises an edge on an input of the kernel's interrupt controllers, without waking a thread of ours.</summary>
    /// <param name="input">The input, 0 to 23.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    /// <exception cref="InvalidOperationException">The interrupt controllers are not the kernel's.</exception>
    /// <exception cref="VirtKitException">The kernel refuses.</exception>
    public KvmEvent CreateInterruptEvent(int input)
    {
        RequireInput(input);
        return new KvmEvent(descriptor =>
        {
            var argument = new KvmIrqfd { Fd = (uint)descriptor, Gsi = (uint)input };
            _vm.Call(KvmIoctl.Irqfd, ref argument, $"bind an event to interrupt input {input}");
        });
    }

    /// <summary>Creates an event that a guest's store signals, without leaving the kernel for us: a doorbell.</summary>
    /// <param name="address">The address of the register.</param>
    /// <param name="size">The width of the store in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">Only this value; <see langword="null"/> for every value.</param>
    /// <exception cref="VirtKitException">The kernel refuses: another width, or a doorbell that is there already.</exception>
    public KvmEvent CreateDoorbell(Gpa address, int size, ulong? value = null) => CreateDoorbell(address.Value, size, value, 0);

    /// <summary>As <see cref="CreateDoorbell(Gpa, int, ulong?)"/>, for a port.</summary>
    /// <param name="port">The port.</param>
    /// <param name="size">The width of the OUT in bytes: 1, 2 or 4.</param>
    /// <param name="value">Only this value; <see langword="null"/> for every value.</param>
    /// <exception cref="VirtKitException">The kernel refuses: another width, or a doorbell that is there already.</exception>
    public KvmEvent CreatePortDoorbell(ushort port, int size, ulong? value = null) => CreateDoorbell(port, size, value, KvmIoeventfd.Pio);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _postedWrites.Dispose();
            _memory.Dispose();
            _vm.Dispose();
            _system.Dispose();
        }

        base.Dispose(disposing);
    }

    private bool HasKernelController => _options.InterruptController == KvmInterruptController.Kernel;

    private void Configure()
    {
        ulong identity = IdentityMap;
        _vm.Call(KvmIoctl.SetIdentityMapAddr, ref identity, "place its identity map");
        _vm.Call(KvmIoctl.SetTssAddr, unchecked((nint)TaskState), "place its task state segment");
        // Without it, an instruction that the kernel cannot emulate in user mode becomes #UD, and nobody learns of it.
        Enable(_vm, KvmCap.ExitOnEmulationFailure, 1);
        // Of the numbers that a guest's VMCALL may have, the kernel forwards those of this mask; there is one, 12.
        Enable(_vm, KvmCap.ExitHypercall, (ulong)_system.Check(KvmCap.ExitHypercall));
        if (HasKernelController)
        {
            _vm.Call(KvmIoctl.CreateIrqchip, 0, "create its interrupt controllers");
            // The speaker's port goes with the timer: counter 2's gate and output are there.
            var pit = new KvmPitConfig { Flags = KvmPitConfig.Speaker };
            _vm.Call(KvmIoctl.CreatePit2, ref pit, "create its timer");
            KvmChips.Get(_vm, out _chipsAtPowerOn);
        }

        KvmMsrRules.Install(_vm, _architecture.Msrs);
    }

    private void Enable(KvmDescriptor target, KvmCap capability, ulong argument)
    {
        if (argument == 0 || _system.Check(capability) == 0)
            return;
        var enable = new KvmEnableCap { Cap = (uint)capability };
        enable.Args[0] = argument;
        target.Call(KvmIoctl.EnableCap, ref enable, $"enable capability {(uint)capability}");
    }

    private KvmEvent CreateDoorbell(ulong address, int size, ulong? value, uint space)
    {
        uint flags = space | (value is null ? 0 : KvmIoeventfd.Datamatch);
        return new KvmEvent(
            descriptor =>
            {
                KvmIoeventfd argument = Describe(descriptor, flags);
                _vm.Call(KvmIoctl.Ioeventfd, ref argument, $"bind a doorbell to 0x{address:x}");
            },
            descriptor =>
            {
                // The machine may be gone, and the binding with it.
                KvmIoeventfd argument = Describe(descriptor, flags | KvmIoeventfd.Deassign);
                _vm.TryCall(KvmIoctl.Ioeventfd, ref argument);
            });

        KvmIoeventfd Describe(int descriptor, uint allFlags) =>
            new() { Addr = address, Len = (uint)size, Fd = descriptor, Flags = allFlags, DatamatchValue = value ?? 0 };
    }

    /// <summary>The machine's reset reaches its chips too: the kernel has them, so no device on the bus passes it on.</summary>
    private void ResetChips() => KvmChips.Set(_vm, in _chipsAtPowerOn);

    private void RequireInput(int input)
    {
        RequireKernelController();
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 23);
    }

    private void RequireKernelController()
    {
        if (!HasKernelController)
            throw new InvalidOperationException("The machine's interrupt controllers are not the kernel's.");
    }
}
