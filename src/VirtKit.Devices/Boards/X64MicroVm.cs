using System.Text;
using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Devices.Pc;
using VirtKit.Devices.Virtio;
using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>A small x86-64 PC without firmware, PCI or video: what a Linux kernel needs that is started by its 64-bit boot protocol or by PVH, described by ACPI.</summary>
/// <remarks>
/// <code>
/// memory                                                  ports
/// 0x0000_0000  RAM, at most 3 GiB                         0x020, 0x0a0, 0x4d0  PIC      0x3f8  16550A serial port, interrupt 4
/// 0xfe00_0000  eight virtio slots of 0x1000,              0x040, 0x061  PIT, 0          0x600  ACPI sleep control
///              interrupts 16 to 23                        0x064  keyboard reset         0xcf9  reset control
/// 0xfec0_0000  I/O APIC    0xfee0_0000  local APIC        0x070  CMOS clock, 8          0x0f4  debug exit
/// 0x1_0000_0000  RAM, the rest
/// </code>
/// PIC, PIT and the APICs are the engine's where its partition is an <see cref="IX64InterruptChips"/> that has them, otherwise our models.
/// One thread at a time builds, loads and runs it. After a guest's reset the host calls <see cref="Machine.Reset"/> and boots again.
/// </remarks>
public sealed class X64MicroVm : IDisposable
{
    /// <summary>The number of virtio slots.</summary>
    public const int VirtioSlots = BoardVirtio.Slots;

    private const ulong Megabyte = 1 << 20, LowTop = 0xc000_0000, HighStart = 0x1_0000_0000, VirtioStride = 0x1000, LargePage = 2 << 20;
    private const ulong ConventionalTop = 0x9_fc00, FirmwareStart = 0xe_0000, KernelStart = Megabyte, InitrdLimit = 0x7fff_ffff;
    private const int FirstVirtioInput = 16, UartInput = 4, RtcInput = 8;
    private const ushort SleepPort = 0x600, ResetControl = 0xcf9, SerialPort = 0x3f8, CmosPort = 0x70;
    private const byte ResetValue = 6;
    private const ulong ApicEnabled = 0x800, BootProcessor = 0x100;
    private static readonly Gpa LocalApicPage = new(0xfee0_0000), IoApicPage = new(0xfec0_0000);
    private static readonly Gpa Virtio = new(0xfe00_0000), StartInfo = new(0x6000), ZeroPage = new(0x7000), CommandLine = new(0x2_0000), Tables = new(FirmwareStart);

    private readonly X64MicroVmOptions _options;
    private readonly BoardVirtio _virtio;
    private readonly List<IDisposable> _owned = [];
    private readonly List<LoadedRange> _ownRanges = [];
    private LoadedRange? _initrd;

    /// <summary>Builds the board.</summary>
    /// <param name="options">What it is made of.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run this here, or the host has no such memory.</exception>
    public X64MicroVm(X64MicroVmOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        X64Architecture architecture = options.Machine.Architecture as X64Architecture
            ?? throw new ArgumentException($"The board has x86-64 processors, not {options.Machine.Architecture.Name}.", nameof(options));
        if (options.MemorySize % LargePage != 0 || options.MemorySize < 16 * Megabyte || options.MemorySize > Megabyte * Megabyte)
            throw new ArgumentOutOfRangeException(nameof(options), options.MemorySize, "Memory is a multiple of 2 MiB, from 16 MiB to 1 TiB.");
        KernelCommandLine.Check(options.CommandLine, KernelCommandLine.LongestX64, nameof(options));
        _options = options;
        var random = new GuestRandom(options.Seed, options.Machine.Scheduling);
        _virtio = new BoardVirtio(options.Disks, options.Networks, options.FirstMacAddress, options.VirtioConsole, random, options.VirtioDevices);

        var controller = new X64InterruptModels.Slot();
        Machine = new Machine(options.Machine with { Architecture = architecture with { InterruptController = controller } });
        Machine.Memory.MapRam(new Gpa(0), Math.Min(options.MemorySize, LowTop));
        if (options.MemorySize > LowTop)
            Machine.Memory.MapRam(new Gpa(HighStart), options.MemorySize - LowTop, "ram-high");
        if (Machine.Partition is IX64InterruptChips { ArePresent: true } chips)
        {
            InterruptChips = chips;
        }
        else
        {
            var models = new X64InterruptModels(Machine, controller, IoApicPage);
            _owned.Add(models);
            InterruptChips = models;
        }

        AttachPorts();
        for (int i = 0; i < VirtioSlots; i++)
        {
            VirtioMmio transport = _virtio.Create(i, Machine, InterruptChips.Input(FirstVirtioInput + i));
            Machine.Memory.Map(Virtio + (ulong)i * VirtioStride, transport);
            _owned.Add(transport);
        }
    }

    /// <summary>The machine, ready to run after one of the boot methods.</summary>
    public Machine Machine { get; }

    /// <summary>PIC, I/O APIC and PIT: the engine's or our models. With the vCPUs' states and the memory, their state makes the machine's.</summary>
    public IX64InterruptChips InterruptChips { get; }

    /// <summary>What firmware would say of the memory.</summary>
    public IReadOnlyList<MemoryMapEntry> MemoryMap
    {
        get
        {
            ulong low = Math.Min(_options.MemorySize, LowTop);
            List<MemoryMapEntry> map =
            [
                new(new Gpa(0), ConventionalTop, MemoryMapKind.Usable),
                new(new Gpa(FirmwareStart), KernelStart - FirmwareStart, MemoryMapKind.Reserved),
                new(new Gpa(KernelStart), low - KernelStart, MemoryMapKind.Usable),
            ];
            if (_options.MemorySize > LowTop)
                map.Add(new(new Gpa(HighStart), _options.MemorySize - LowTop, MemoryMapKind.Usable));
            return map;
        }
    }

    /// <summary>Copies an initial RAM disk to the highest free place in the RAM below 2 GiB. One that was loaded before is replaced.</summary>
    /// <param name="image">The archive; an empty one takes the disk away.</param>
    /// <returns>Where it lies.</returns>
    /// <exception cref="ArgumentException">It is larger than the memory.</exception>
    /// <exception cref="LoadOverlapException">What is loaded already leaves no room for it.</exception>
    public Gpa LoadInitrd(ReadOnlySpan<byte> image)
    {
        ulong top = Math.Min(_options.MemorySize, InitrdLimit), size = (ulong)image.Length;
        if (size > top - KernelStart)
            throw new ArgumentException($"The image of {size} bytes does not fit into memory.", nameof(image));
        return InitrdPlace.Load(Machine.Memory, ref _initrd, image, new Gpa(KernelStart), new Gpa(top), preferred: null);
    }

    /// <summary>Loads a Linux kernel and sets the first vCPU up to start it by the 64-bit boot protocol. An initial RAM disk has been loaded before.</summary>
    /// <param name="kernel">A bzImage, whose payload is decompressed here where that is possible, otherwise by its own code in the guest; or an ELF file (vmlinux).</param>
    /// <exception cref="InvalidImageException">It is neither, malformed, takes no command line that long, or does not fit into memory above 1 MiB.</exception>
    /// <exception cref="LoadOverlapException">It overlaps the initial RAM disk or something else that is loaded.</exception>
    public void BootLinux(ReadOnlyMemory<byte> kernel)
    {
        ReadOnlyMemory<byte> header = default;
        Gpa entry;
        if (BzImage.IsBzImage(kernel.Span))
        {
            BzImage image = BzImage.Parse(kernel);
            KernelCommandLine.CheckKernel(_options.CommandLine, image.CommandLineLimit);
            header = image.SetupHeader;
            entry = image.Format is KernelCompression.Gzip or KernelCompression.Lz4 or KernelCompression.None ? image.LoadExtracted(Machine.Memory, new Gpa(KernelStart))
                : LoadWhole(image);
        }
        else
        {
            entry = LoadElf(kernel);
        }

        PlaceTables();
        Place("the zero page", ZeroPage, new LinuxZeroPage
        {
            SetupHeader = header,
            MemoryMap = MemoryMap,
            CommandLine = CommandLine,
            Initrd = Initrd?.Start ?? default,
            InitrdSize = Initrd?.Size ?? 0,
            Rsdp = Tables,
        }.ToArray());
        ClaimOwn("the page tables of the kernel's entry", X64EntryState.PageTableRange);
        Start((ref X64State state) =>
        {
            X64EntryState.Enter64(Machine, ref state, entry);
            state.Registers.Rsi = ZeroPage.Value;
        });
    }

    /// <summary>Loads an ELF kernel and sets the first vCPU up to start it by the PVH protocol. An initial RAM disk has been loaded before.</summary>
    /// <param name="kernel">An ELF file with a PVH entry.</param>
    /// <exception cref="InvalidImageException">It is malformed, has no such entry, or does not fit into memory above 1 MiB.</exception>
    /// <exception cref="LoadOverlapException">It overlaps the initial RAM disk or something else that is loaded.</exception>
    public void BootPvh(ReadOnlyMemory<byte> kernel)
    {
        if (!ElfImage.IsElf(kernel.Span))
            throw new InvalidImageException("Not an ELF file.");
        if (!PvhStartInfo.TryFindEntry(kernel.Span, out Gpa entry))
            throw new InvalidImageException("The ELF file has no PVH entry.");
        LoadElf(kernel);
        PlaceTables();
        Place("the PVH start information", StartInfo, new PvhStartInfo
        {
            MemoryMap = MemoryMap,
            CommandLine = CommandLine,
            Initrd = Initrd?.Start ?? default,
            InitrdSize = Initrd?.Size ?? 0,
            Rsdp = Tables,
        }.ToArray(StartInfo));
        Start((ref X64State state) =>
        {
            X64EntryState.Enter32(Machine, ref state, entry);
            state.Registers.Rbx = StartInfo.Value;
        });
    }

    /// <summary>The ACPI tables of the board, as they stand from the address that they are for.</summary>
    public byte[] BuildAcpiTables() => new AcpiPlatform
    {
        ProcessorCount = Machine.Vcpus.Count,
        LocalApic = LocalApicPage,
        IoApic = IoApicPage,
        SleepPort = SleepPort,
        ResetPort = ResetControl,
        ResetValue = ResetValue,
        Dsdt = DescribeDevices(),
    }.ToArray(Tables);

    /// <summary>Stops the machine and releases it and the board's own devices; what came in by the options stays the caller's.</summary>
    public void Dispose()
    {
        Machine.Dispose();
        // The chips, which came first, go last.
        foreach (IDisposable device in Enumerable.Reverse(_owned))
            device.Dispose();
        _virtio.Dispose();
    }

    private void AttachPorts()
    {
        AddressSpace ports = Machine.Ports!;
        var uart = new Ns16550A(_options.Console, InterruptChips.Input(UartInput));
        var rtc = new CmosRtc(Machine.Clock, InterruptChips.Input(RtcInput));
        _owned.AddRange([uart, rtc]);
        ports.Map(new Gpa(SerialPort), uart);
        ports.Map(new Gpa(CmosPort), rtc);
        ports.Map(new Gpa(0x64), new KeyboardReset(Machine.RequestReset));
        ports.Map(new Gpa(0xf4), new DebugExitPort(Machine.RequestShutdown));
        ports.Map(new Gpa(SleepPort), new AcpiSleep(Machine.RequestShutdown));
        ports.Map(new Gpa(ResetControl), new ResetPort(Machine.RequestReset));
    }

    private byte[] DescribeDevices()
    {
        AmlBuilder aml = new AmlBuilder().BeginScope("_SB_");
        for (int i = 0; i < Machine.Vcpus.Count; i++)
            aml.BeginDevice($"C{i:X3}").Name("_HID", "ACPI0007").Name("_UID", (uint)i).End();
        aml.BeginDevice("COM1").NameEisaId("_HID", "PNP0501").Name("_UID", 1)
            .NameResources(new AmlResources().Ports(SerialPort, 8).Interrupt(UartInput, AcpiTrigger.Edge)).End();
        aml.BeginDevice("RTC_").NameEisaId("_HID", "PNP0B00")
            .NameResources(new AmlResources().Ports(CmosPort, 2).Interrupt(RtcInput, AcpiTrigger.Edge)).End();
        for (int i = 0; i < VirtioSlots; i++)
        {
            aml.BeginDevice($"VR{i:X2}").Name("_HID", "LNRO0005").Name("_UID", (uint)i).Name("_CCA", 1)
                .NameResources(new AmlResources().Memory(Virtio + (ulong)i * VirtioStride, (uint)VirtioStride).Interrupt((uint)(FirstVirtioInput + i), AcpiTrigger.Level)).End();
        }

        return aml.End().NamePackage("_S5_", AcpiSleep.PowerOffType, 0, 0, 0).ToArray();
    }

    /// <summary>The initial RAM disk, unless a reset has come since it was loaded.</summary>
    private LoadedRange? Initrd => InitrdPlace.Current(Machine.Memory, _initrd);

    private Gpa LoadElf(ReadOnlyMemory<byte> file)
    {
        ElfImage image = ElfImage.Parse(file, ElfMachine.X64);
        foreach (ElfSegment segment in image.Segments)
            CheckPlace(segment.PhysicalAddress, segment.MemorySize);
        image.Load(Machine.Memory);
        return image.Entry;
    }

    private Gpa LoadWhole(BzImage image)
    {
        CheckPlace(image.PreferredAddress, image.MemorySize);
        return image.Load(Machine.Memory, image.PreferredAddress);
    }

    /// <summary>What the board places itself lies below 1 MiB.</summary>
    private static void CheckPlace(Gpa start, ulong size)
    {
        if (start.Value < KernelStart && size != 0)
            throw new InvalidImageException($"The kernel's {size} bytes at {start} do not lie above 1 MiB.");
    }

    private void PlaceTables()
    {
        // Booting again without a reset places them anew.
        foreach (LoadedRange range in _ownRanges)
            Machine.Memory.Loaded.Release(range);
        _ownRanges.Clear();
        byte[] tables = BuildAcpiTables();
        if ((ulong)tables.Length > KernelStart - FirmwareStart)
            throw new VirtKitException($"The ACPI tables have {tables.Length} bytes, and there is room for {KernelStart - FirmwareStart}: the board has too many devices.");
        Place("the ACPI tables", Tables, tables);
        Place("the command line", CommandLine, [.. Encoding.UTF8.GetBytes(_options.CommandLine), 0]);
        ClaimOwn("the descriptor table of the kernel's entry", X64EntryState.DescriptorRange);
    }

    private void Place(string name, Gpa start, ReadOnlySpan<byte> content) => _ownRanges.Add(Machine.Memory.Loaded.Write(name, start, content));

    private void ClaimOwn(string name, (Gpa Start, ulong Size) range) => _ownRanges.Add(Machine.Memory.Loaded.Claim(name, range.Start, range.Size));

    private void Start(Entry enter)
    {
        foreach (Vcpu vcpu in Machine.Vcpus)
        {
            X64State state = vcpu.GetState<X64State>();
            state.ApicBase = LocalApicPage.Value | ApicEnabled | (vcpu.Index == 0 ? BootProcessor : 0);
            if (vcpu.Index == 0)
                enter(ref state);
            vcpu.SetState(in state);
        }
    }

    private delegate void Entry(ref X64State state);
}
