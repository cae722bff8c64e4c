using System.Buffers.Binary;
using VirtKit.Boot;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;

namespace VirtKit.Devices.Boards;

/// <summary>A RISC-V machine with the memory map of QEMU's <c>virt</c> board, so that guests built for that run unchanged.</summary>
/// <remarks>
/// <code>
/// 0x0000_1000  boot ROM (holds what fw_dynamic firmware reads)     0x1000_0000  16550A serial port, source 10
/// 0x0010_0000  test finisher, syscon                               0x1000_1000  eight virtio slots of 0x1000, sources 1 to 8
/// 0x0010_1000  Goldfish real-time clock, source 11                 0x8000_0000  DRAM
/// 0x0010_2000  generation ID, source 63, as GenerationId has it
/// 0x0200_0000  CLINT
/// 0x0c00_0000  PLIC, contexts M and S of each hart
/// </code>
/// Devices of the caller's own that name no address stand between 0x0400_0000 and 0x0600_0000, QEMU's platform bus, and those that name no interrupt have sources
/// from 12 on. QEMU's flash, fw_cfg and PCI are not there, and QEMU has nothing where the generation ID is. One thread at a time builds, loads and runs it. After a
/// guest's reset the host calls <see cref="Machine.Reset"/> and loads again.
/// </remarks>
/// <example>
/// Debian's kernel with a busybox:
/// <code>
/// LinuxGuestFiles files = await DebianGuest.RiscV64.FetchAsync();
/// using var terminal = new StreamConsole(Console.OpenStandardInput(), Console.OpenStandardOutput());
/// await using var linux = new RiscVVirt(new RiscVVirtOptions { Console = terminal, CommandLine = "console=ttyS0", MemorySize = 512 &lt;&lt; 20 });
/// linux.LoadInitrd(BusyboxInitramfs.Build(files));
/// linux.BootLinux(File.ReadAllBytes(files.Kernel));
/// VcpuExit exit = await linux.Machine.RunAsync();
/// </code>
/// </example>
public sealed class RiscVVirt : IDisposable, IAsyncDisposable
{
    /// <summary>The number of virtio slots.</summary>
    public const int VirtioSlots = BoardVirtio.Slots;

    private const ulong BootRomSize = 0xf000, Megabyte = 1 << 20, Slot = 2 * Megabyte, LowTop = 0xc000_0000;
    private const int RtcSource = 11, UartSource = 10, FirstVirtioSource = 1, FirstFreeSource = 12, GenerationSource = 63;
    private const int MachineSoftware = 3, MachineTimer = 7, SupervisorExternal = 9, MachineExternal = 11;
    private static readonly Gpa BootRom = new(0x1000), Test = new(0x10_0000), Rtc = new(0x10_1000), Generation = new(0x10_2000), Clint = new(0x200_0000), PlicStart = new(0xc00_0000),
        Uart = new(0x1000_0000), Virtio = new(0x1000_1000), FreeStart = new(0x400_0000), Dram = new(0x8000_0000);

    private readonly RiscVVirtOptions _options;
    private readonly RiscVArchitecture _architecture;
    private readonly GuestRandom _random;
    private readonly BoardVirtio _virtio;
    private readonly BoardBus _bus;
    private readonly Aclint _aclint;
    private readonly TestFinisher _finisher;
    private LoadedRange[] _ownRanges = [];
    private LoadedRange? _initrd;

    /// <summary>Builds the board.</summary>
    /// <param name="options">What it is made of.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run this here, or the host has no such memory.</exception>
    public RiscVVirt(RiscVVirtOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _architecture = options.Machine.Architecture as RiscVArchitecture
            ?? throw new ArgumentException($"The board has RISC-V harts, not {options.Machine.Architecture.Name}.", nameof(options));
        if (options.MemorySize % Slot != 0 || options.MemorySize < 8 * Megabyte || options.MemorySize > Megabyte * Megabyte)
            throw new ArgumentOutOfRangeException(nameof(options), options.MemorySize, "Memory is a multiple of 2 MiB, from 8 MiB to 1 TiB.");
        KernelCommandLine.Check(options.CommandLine, KernelCommandLine.LongestRiscV, nameof(options));
        _options = options;

        Machine = new Machine(options.Machine);
        try
        {
            IReadOnlyList<Vcpu> harts = Machine.Vcpus;
            RiscVPlatform platform = RiscVPlatform.Of(Machine);
            platform.DebugConsole = new SbiConsole(options.Console, Machine.Clock);
            _random = new GuestRandom(options.Seed, Machine.Scheduling);
            _virtio = new BoardVirtio(options, _random);
            Plic = new Plic(Pins(harts, MachineExternal, SupervisorExternal));
            _aclint = new Aclint(Machine.Clock, platform.Timebase, Pins(harts, MachineSoftware), Pins(harts, MachineTimer));
            _finisher = new TestFinisher(Machine.RequestShutdown, Machine.RequestReset);
            _bus = new BoardBus(Machine, Machine.Memory, new InterruptInputs(Plic.Input, 1, Plic.Sources, FirstFreeSource, Plic.Sources))
            {
                Free = (FreeStart, 32 * Megabyte, AddressSpace.PageSize),
            };
            Attach();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The machine, ready to run after <see cref="BootSupervisor"/> or <see cref="BootFirmware(Gpa)"/>.</summary>
    public Machine Machine { get; }

    /// <summary>The interrupt controller: <see cref="Plic.Input"/> gives the line into a source. Those of <see cref="Devices"/> are taken.</summary>
    public Plic Plic { get; }

    /// <summary>The devices with an interrupt of the PLIC or of the caller's own, with their addresses, the caller's last. The guest finds them in the device tree.</summary>
    public IReadOnlyList<AttachedDevice> Devices => _bus.Devices;

    /// <summary>The first address of DRAM, where firmware is loaded and starts.</summary>
    public static Gpa FirmwareAddress => Dram;

    /// <summary>Where a kernel is loaded: 2 MiB into DRAM, as <c>fw_jump</c> firmware expects.</summary>
    public static Gpa KernelAddress => Dram + Slot;

    /// <summary>Where the device tree is placed: in the last 2 MiB of the DRAM below 3 GiB.</summary>
    public Gpa DeviceTreeAddress => new((Math.Min(Dram.Value + _options.MemorySize, LowTop) - 1) / Slot * Slot);

    /// <summary>Copies firmware to <see cref="FirmwareAddress"/>.</summary>
    /// <param name="image">A flat binary.</param>
    /// <exception cref="ArgumentException">It reaches into the kernel's place.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already.</exception>
    public void LoadFirmware(ReadOnlySpan<byte> image) => Load("the firmware", FirmwareAddress, image, (ulong)image.Length, KernelAddress);

    /// <summary>Copies a kernel to <see cref="KernelAddress"/>.</summary>
    /// <param name="image">A flat binary; of a Linux Image that is not compressed the memory is claimed that its header asks for.</param>
    /// <exception cref="ArgumentException">It reaches into the device tree's place.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already.</exception>
    public void LoadKernel(ReadOnlySpan<byte> image) =>
        Load("the kernel", KernelAddress, image, LinuxImage.TryReadMemorySize(image, out ulong size) ? size : (ulong)image.Length, DeviceTreeAddress);

    /// <summary>Copies an initial RAM disk: half the memory or 512 MiB above the kernel's place as QEMU does, or to the highest free place below the device tree where
    /// that is taken or too far. One that was loaded before is replaced.</summary>
    /// <param name="image">The archive; an empty one takes the disk away.</param>
    /// <returns>Where it lies.</returns>
    /// <exception cref="ArgumentException">It is larger than the memory.</exception>
    /// <exception cref="LoadOverlapException">What is loaded already leaves no room for it.</exception>
    public Gpa LoadInitrd(ReadOnlySpan<byte> image)
    {
        CheckRoom(KernelAddress, image, (ulong)image.Length, DeviceTreeAddress);
        Gpa preferred = KernelAddress + Math.Min(_options.MemorySize / 2, 512 * Megabyte);
        return InitrdLoader.Load(Machine.Memory, ref _initrd, image, KernelAddress, DeviceTreeAddress, preferred);
    }

    /// <summary>Loads a Linux kernel and sets the harts up to start it as <see cref="BootSupervisor"/> does. An initial RAM disk is loaded before or after that.</summary>
    /// <param name="kernel">A Linux Image, compressed with gzip or not.</param>
    /// <exception cref="InvalidOperationException">The architecture provides no SBI: the guest needs firmware.</exception>
    /// <exception cref="InvalidImageException">It is malformed, would cut the board's command line, or does not fit into memory.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already.</exception>
    public void BootLinux(ReadOnlyMemory<byte> kernel)
    {
        CheckSbi();
        LinuxImage image = LinuxImage.Parse(kernel);
        KernelCommandLine.CheckKernel(_options.CommandLine, (uint)image.CommandLineLimit);
        BootSupervisor(image.Load(Machine.Memory, Dram));
    }

    /// <summary>Sets the harts up to start a kernel in supervisor mode: hart 0 at its entry, the others stopped until the kernel starts them by SBI.</summary>
    /// <param name="entry">The kernel's entry point.</param>
    /// <exception cref="InvalidOperationException">The architecture provides no SBI: the guest needs firmware.</exception>
    /// <exception cref="LoadOverlapException">What is loaded reaches into the device tree's place.</exception>
    public void BootSupervisor(Gpa entry)
    {
        CheckSbi();
        LoadDeviceTree();
        foreach (Vcpu hart in Machine.Vcpus)
        {
            RiscVState state = hart.GetState<RiscVState>();
            state.Privilege = PrivilegeMode.Supervisor;
            state.Started = hart.Index == 0;
            state.Pc = entry.Value;
            state.X[10] = (ulong)hart.Index;
            state.X[11] = DeviceTreeAddress.Value;
            state.Satp = 0;
            // There is no machine-mode code: all that a supervisor can handle goes to it, but for its own calls (ECALL from S, cause 9).
            state.Medeleg = 0xb1ff;
            state.Mideleg = 0x222;
            state.Mcounteren = 0b111;
            // As firmware leaves it: a kernel without a PMU driver never sets it, and programs read time directly.
            state.Scounteren = 0b111;
            // RV-Priv §3.1.18: STCE, CBZE, CBCFE, CBIE = invalidate. ADUE stays off, as the SBI demands at boot, and PBMTE, which the harts do not have.
            state.Menvcfg = 1ul << 63 | 1ul << 7 | 1ul << 6 | 0b11ul << 4;
            hart.SetState(in state);
        }
    }

    /// <summary>As <see cref="BootFirmware(Gpa, Gpa)"/>, with the kernel at <see cref="KernelAddress"/>.</summary>
    /// <inheritdoc cref="BootFirmware(Gpa, Gpa)"/>
    public void BootFirmware(Gpa entry) => BootFirmware(entry, KernelAddress);

    /// <summary>Sets the harts up to start firmware, or any bare-metal program, in machine mode: all of them at its entry, with the hart ID in a0, the device tree
    /// in a1 and OpenSBI's <c>fw_dynamic</c> information in a2.</summary>
    /// <param name="entry">The firmware's entry point, <see cref="FirmwareAddress"/> for a flat binary.</param>
    /// <param name="next">What <c>fw_dynamic</c> firmware starts in supervisor mode, <see cref="KernelAddress"/> as a rule.</param>
    /// <exception cref="InvalidOperationException">The architecture provides the SBI itself.</exception>
    /// <exception cref="LoadOverlapException">What is loaded reaches into the device tree's place.</exception>
    public void BootFirmware(Gpa entry, Gpa next)
    {
        if (_architecture.Sbi is not null)
            throw new InvalidOperationException("Firmware starts in machine mode only with RiscVArchitecture.Sbi not set.");
        LoadDeviceTree();
        // OpenSBI's struct fw_dynamic_info, version 2: magic, version, next address, next mode (1 is supervisor), options, boot hart.
        ReadOnlySpan<ulong> information = [0x4942_534f, 2, next.Value, 1, 0, 0];
        Span<byte> bytes = stackalloc byte[information.Length * 8];
        for (int i = 0; i < information.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(i * 8)..], information[i]);
        _ownRanges = [.. _ownRanges, Machine.Memory.Loaded.Write("the firmware's start information", BootRom, bytes)];
        foreach (Vcpu hart in Machine.Vcpus)
        {
            RiscVState state = hart.GetState<RiscVState>();
            state.Privilege = PrivilegeMode.Machine;
            state.Started = true;
            state.Pc = entry.Value;
            state.X[10] = (ulong)hart.Index;
            state.X[11] = DeviceTreeAddress.Value;
            state.X[12] = BootRom.Value;
            hart.SetState(in state);
        }
    }

    /// <summary>The device tree of the board as it stands: for Linux, OpenSBI and U-Boot.</summary>
    public byte[] BuildDeviceTree()
    {
        var fdt = new FdtBuilder();
        uint[] harts = RiscVCpuNodes.AllocatePhandles(fdt, Machine.Vcpus.Count);
        uint plic = fdt.AllocatePhandle(), test = fdt.AllocatePhandle();
        fdt.BeginNode("").Strings("compatible", "riscv-virtio").Strings("model", "riscv-virtio,virtkit").Cells("#address-cells", 2).Cells("#size-cells", 2);
        DescribeChosen(fdt);
        fdt.BeginNode($"memory@{Dram.Value:x}").Strings("device_type", "memory").Cells64("reg", Dram.Value, _options.MemorySize).EndNode();
        RiscVCpuNodes.Describe(fdt, _architecture, harts);
        fdt.BeginNode("soc").Strings("compatible", "simple-bus").Cells("#address-cells", 2).Cells("#size-cells", 2).Flag("ranges");
        _finisher.Describe(fdt, new FdtResources(Test) { Phandle = test });
        _aclint.Describe(fdt, new FdtResources(Clint) { InterruptsExtended = Pins(harts, MachineSoftware, MachineTimer) });
        Plic.Describe(fdt, new FdtResources(PlicStart) { Phandle = plic, InterruptsExtended = Pins(harts, MachineExternal, SupervisorExternal) });
        foreach (AttachedDevice placed in _bus.Devices)
            (placed.Device as IFdtNode)?.Describe(fdt, ResourcesOf(placed, plic));
        fdt.EndNode();
        DescribeSyscon(fdt, "poweroff", test, TestFinisher.Pass);
        DescribeSyscon(fdt, "reboot", test, TestFinisher.Restart);
        return fdt.EndNode().ToArray();
    }

    /// <summary>Stops the machine and releases it and the board's own devices; what came in by the options stays the caller's.</summary>
    public void Dispose()
    {
        Machine.Dispose();
        // A constructor that failed has made only some of them.
        _bus?.Dispose();
        _virtio?.Dispose();
        _aclint?.Dispose();
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    private static FdtResources ResourcesOf(AttachedDevice placed, uint plic) => placed.Interrupts switch
    {
        [] => new FdtResources(placed.Address),
        [int source] => new FdtResources(placed.Address, plic, (uint)source),
        var sources => new FdtResources(placed.Address) { InterruptsExtended = sources.SelectMany(source => new[] { plic, (uint)source }).ToArray() },
    };

    private static InterruptLine[] Pins(IReadOnlyList<Vcpu> harts, params ReadOnlySpan<int> pins)
    {
        var lines = new InterruptLine[harts.Count * pins.Length];
        for (int i = 0; i < lines.Length; i++)
            lines[i] = harts[i / pins.Length].Pin(pins[i % pins.Length]);
        return lines;
    }

    private static ReadOnlyMemory<uint> Pins(uint[] harts, uint first, uint second)
    {
        uint[] cells = new uint[harts.Length * 4];
        for (int i = 0; i < harts.Length; i++)
            (cells[4 * i], cells[4 * i + 1], cells[4 * i + 2], cells[4 * i + 3]) = (harts[i], first, harts[i], second);
        return cells;
    }

    private static void DescribeSyscon(FdtBuilder fdt, string name, uint regmap, uint value) =>
        fdt.BeginNode(name).Strings("compatible", "syscon-" + name).Cells("regmap", regmap).Cells("offset", 0).Cells("value", value).EndNode();

    private void DescribeChosen(FdtBuilder fdt)
    {
        byte[] seed = new byte[32];
        _random.Fill(seed);
        fdt.BeginNode("chosen").Strings("bootargs", _options.CommandLine).Strings("stdout-path", $"/soc/serial@{Uart.Value:x}").Bytes("rng-seed", seed);
        if (InitrdLoader.Current(Machine.Memory, _initrd) is { } initrd)
            fdt.Cells64("linux,initrd-start", initrd.Start.Value).Cells64("linux,initrd-end", initrd.Start.Value + initrd.Size);
        fdt.EndNode();
    }

    private void Attach()
    {
        Machine.Memory.MapRom(BootRom, BootRomSize, "boot-rom");
        Machine.Memory.MapRam(Dram, _options.MemorySize);
        Machine.Memory.Map(PlicStart, Plic);
        Machine.Memory.Map(Clint, _aclint);
        Machine.Memory.Map(Test, _finisher);
        _bus.Attach("the clock", new BoardDevice(slot => new GoldfishRtc(Machine.Clock, slot.TakeInterrupt(RtcSource))) { Address = Rtc });
        _bus.Attach("the serial port", new BoardDevice(slot => new Ns16550A(_options.Console, Machine.Clock, slot.TakeInterrupt(UartSource)) { Undeclared = UndeclaredAccess.Pad }) { Address = Uart });
        _virtio.Attach(_bus, Virtio, FirstVirtioSource);
        BoardGeneration.Attach(_bus, _options, _random, Generation, GenerationSource);
        _bus.Attach(_options.Devices, nameof(BoardOptions.Devices));
    }

    private void CheckSbi()
    {
        if (_architecture.Sbi is null)
            throw new InvalidOperationException("A kernel starts in supervisor mode only with RiscVArchitecture.Sbi set.");
    }

    private static void CheckRoom(Gpa start, ReadOnlySpan<byte> image, ulong size, Gpa end)
    {
        if (size > end - start)
            throw new ArgumentException($"The image of {size} bytes at {start} reaches past {end}.", nameof(image));
    }

    private void Load(string name, Gpa start, ReadOnlySpan<byte> image, ulong size, Gpa end)
    {
        CheckRoom(start, image, size, end);
        if (image.IsEmpty)
            return;
        Machine.Memory.Loaded.Claim(name, start, size);
        Machine.Memory.Write(start, image);
    }

    private void LoadDeviceTree()
    {
        // Booting again without a reset places them anew.
        foreach (LoadedRange range in Interlocked.Exchange(ref _ownRanges, []))
            Machine.Memory.Loaded.Release(range);
        byte[] tree = BuildDeviceTree();
        if ((ulong)tree.Length > Slot)
            throw new VirtKitException($"The device tree has {tree.Length} bytes, and there is room for {Slot}: the board has too many devices.");
        _ownRanges = [.. _ownRanges, Machine.Memory.Loaded.Write("the device tree", DeviceTreeAddress, tree)];
    }
}
