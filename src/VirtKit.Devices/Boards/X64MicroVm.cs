using System.Text;
using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Devices.Pc;
using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>A small x86-64 PC without firmware, PCI or video: what a Linux kernel needs that is started by its 64-bit boot protocol or by PVH, described by ACPI.</summary>
/// <remarks>
/// <code>
/// memory                                                  ports
/// 0x0000_0000  RAM, at most 3 GiB                         0x020, 0x0a0, 0x4d0  PIC      0x3f8  16550A serial port, interrupt 4
/// 0xfe00_0000  eight virtio slots of 0x1000,              0x040, 0x061  PIT, 0          0x600  ACPI sleep control
///              interrupts 16 to 23                        0x064  keyboard reset         0xcf9  reset control
/// 0xfe00_8000  generation ID, interrupt 9, as the
///              option GenerationId has it
/// 0xfec0_0000  I/O APIC    0xfee0_0000  local APIC        0x070  CMOS clock, 8          0x0f4  debug exit
/// 0x1_0000_0000  RAM, the rest
/// </code>
/// Devices of the caller's own that name no address stand between 0xfd00_0000 and 0xfe00_0000 or at ports from 0xc000 on; those that name no interrupt have one of
/// 3 to 15. PIC, PIT and the APICs are the engine's where its partition is an <see cref="IX64InterruptChips"/> that has them, otherwise our models; they change with the engine.
/// One thread at a time builds, loads and runs it. After a guest's reset the host calls <see cref="Machine.Reset"/> and boots again.
/// </remarks>
/// <example>
/// Debian's kernel for clouds, on KVM:
/// <code>
/// LinuxGuestFiles files = await DebianGuest.X64.FetchAsync();
/// await using var linux = new X64MicroVm(new X64MicroVmOptions { Console = console, CommandLine = "console=ttyS0", MemorySize = 512 &lt;&lt; 20 });
/// linux.LoadInitrd(BusyboxInitramfs.Build(files));
/// linux.BootLinux(File.ReadAllBytes(files.Kernel));
/// VcpuExit exit = await linux.Machine.RunAsync();
/// </code>
/// </example>
public sealed class X64MicroVm : IDisposable, IAsyncDisposable
{
    /// <summary>The number of virtio slots.</summary>
    public const int VirtioSlots = BoardVirtio.Slots;

    private const ulong Megabyte = 1 << 20, LowTop = 0xc000_0000, HighStart = 0x1_0000_0000, PortEnd = 0x1_0000, LargePage = 2 << 20;
    private const ulong ConventionalTop = 0x9_fc00, FirmwareStart = 0xe_0000, KernelStart = Megabyte, InitrdLimit = 0x7fff_ffff;
    private const int FirstVirtioInput = 16, UartInput = 4, RtcInput = 8, GenerationInput = 9, LastInput = 23, FirstFreeInput = 3, LastFreeInput = 15;
    private const int LongestPortWindow = 255;
    private const ushort SleepPort = 0x600, ResetControl = 0xcf9, SerialPort = 0x3f8, CmosPort = 0x70;
    private const byte ResetValue = 6;
    private const ulong ApicEnabled = 0x800, BootProcessor = 0x100;
    private static readonly Gpa LocalApicPage = new(0xfee0_0000), IoApicPage = new(0xfec0_0000), FreeStart = new(0xfd00_0000), FreePorts = new(0xc000);
    private static readonly Gpa Virtio = new(0xfe00_0000), Generation = new(0xfe00_8000), StartInfo = new(0x6000), ZeroPage = new(0x7000), CommandLine = new(0x2_0000), Tables = new(FirmwareStart);

    private readonly X64MicroVmOptions _options;
    private readonly GuestRandom _random;
    private readonly BoardVirtio _virtio;
    private readonly BoardBus _bus;
    private readonly BoardBus _portBus;
    private readonly X64BoardChips _chips;
    private LoadedRange[] _ownRanges = [];
    private LoadedRange? _initrd;

    /// <summary>Builds the board.</summary>
    /// <param name="options">What it is made of.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run this here, or the host has no such memory.</exception>
    public X64MicroVm(X64MicroVmOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        X64Architecture architecture = options.Machine.Architecture as X64Architecture
            ?? throw new ArgumentException($"The board has x86-64 processors, not {options.Machine.Architecture.Name}.", nameof(options));
        if (options.MemorySize % LargePage != 0 || options.MemorySize < 16 * Megabyte || options.MemorySize > Megabyte * Megabyte)
            throw new ArgumentOutOfRangeException(nameof(options), options.MemorySize, "Memory is a multiple of 2 MiB, from 16 MiB to 1 TiB.");
        KernelCommandLine.Check(options.CommandLine, KernelCommandLine.LongestX64, nameof(options));
        _options = options;
        Machine = new Machine(options.Machine with { Architecture = architecture with { HasLocalApics = true } });
        try
        {
            _random = new GuestRandom(options.Seed, Machine.Scheduling);
            _virtio = new BoardVirtio(options, _random);
            MapRam();
            _chips = new X64BoardChips(Machine, IoApicPage);
            var inputs = new InterruptInputs(_chips.Input, 0, LastInput, FirstFreeInput, LastFreeInput);
            inputs.Reserve(0, "the PIT");
            inputs.Reserve(2, "the second PIC");
            _bus = new BoardBus(Machine, Machine.Memory, inputs)
            {
                Free = (FreeStart, 16 * Megabyte, AddressSpace.PageSize),
                End = HighStart,
                Reserved = [(LocalApicPage, AddressSpace.PageSize, "the local APICs"), (IoApicPage, AddressSpace.PageSize, "the I/O APIC")],
            };
            _portBus = new BoardBus(Machine, Machine.Ports!, inputs) { Free = (FreePorts, PortEnd - FreePorts.Value, 8), End = PortEnd, LongestWindow = LongestPortWindow };
            Attach();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The machine, ready to run after one of the boot methods.</summary>
    public Machine Machine { get; }

    /// <summary>PIC, I/O APIC and PIT: the engine's or our models. With the vCPUs' states and the memory, their state makes the machine's.</summary>
    public IX64InterruptChips InterruptChips => _chips;

    /// <summary>The memory-mapped devices with their addresses: virtio slots, the generation ID, then the caller's. The guest finds them in the DSDT.</summary>
    public IReadOnlyList<AttachedDevice> Devices => _bus.Devices;

    /// <summary>The devices in port space with their addresses, the caller's last. The guest finds them in the DSDT as far as they describe themselves.</summary>
    public IReadOnlyList<AttachedDevice> PortDevices => _portBus.Devices;

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
        return InitrdLoader.Load(Machine.Memory, ref _initrd, image, new Gpa(KernelStart), new Gpa(top), preferred: null);
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

        LoadTables();
        Load("the zero page", ZeroPage, new LinuxZeroPage
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
        if (!ElfImage.Parse(kernel, ElfMachine.X64).Segments.Any(segment => entry - segment.PhysicalAddress < segment.MemorySize))
            throw new InvalidImageException($"The ELF file's PVH entry, {entry}, lies in none of its segments.");
        LoadElf(kernel);
        LoadTables();
        Load("the PVH start information", StartInfo, new PvhStartInfo
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
        // A constructor that failed has made only some of them.
        _portBus?.Dispose();
        _bus?.Dispose();
        _virtio?.Dispose();
        _chips?.Dispose();
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    private void MapRam()
    {
        Machine.Memory.MapRam(new Gpa(0), Math.Min(_options.MemorySize, LowTop));
        if (_options.MemorySize > LowTop)
            Machine.Memory.MapRam(new Gpa(HighStart), _options.MemorySize - LowTop, "ram-high");
    }

    private void Attach()
    {
        Port("the serial port", SerialPort, slot => new Ns16550A(_options.Console, Machine.Clock, slot.TakeInterrupt(UartInput)));
        Port("the clock", CmosPort, slot => new CmosRtc(Machine.Clock, slot.TakeInterrupt(RtcInput)));
        Port("the keyboard's reset", 0x64, _ => new KeyboardReset(Machine.RequestReset));
        Port("the debug exit", 0xf4, _ => new DebugExitPort(Machine.RequestShutdown));
        Port("the sleep control", SleepPort, _ => new AcpiSleep(Machine.RequestShutdown));
        Port("the reset control", ResetControl, _ => new ResetPort(Machine.RequestReset));
        _virtio.Attach(_bus, Virtio, FirstVirtioInput);
        BoardGeneration.Attach(_bus, _options, _random, Generation, GenerationInput);
        _bus.Attach(_options.Devices, nameof(_options.Devices));
        _portBus.Attach(_options.PortDevices, nameof(_options.PortDevices));

        void Port(string label, ushort port, Func<BoardSlot, IDevice> create) => _portBus.Attach(label, new BoardDevice(create) { Address = new Gpa(port) });
    }

    private byte[] DescribeDevices()
    {
        AmlBuilder aml = new AmlBuilder().BeginScope("_SB_");
        for (int i = 0; i < Machine.Vcpus.Count; i++)
            aml.BeginDevice($"C{i:X3}").Name("_HID", "ACPI0007").Name("_UID", (uint)i).End();
        uint number = 0;
        foreach (AttachedDevice placed in _portBus.Devices)
            Describe(placed, new AmlResources().Ports((ushort)placed.Address.Value, (byte)placed.Device.Window.Size));
        foreach (AttachedDevice placed in _bus.Devices)
            Describe(placed, new AmlResources().Memory(placed.Address, (uint)placed.Device.Window.Size));
        return aml.End().NamePackage("_S5_", AcpiSleep.PowerOffType, 0, 0, 0).ToArray();

        void Describe(AttachedDevice placed, AmlResources registers)
        {
            if (placed.Device is IAcpiNode node)
                node.Describe(aml, new AcpiResources($"D{number:X3}", number++, registers, [.. placed.Interrupts.Select(input => (uint)input)]) { Address = placed.Address });
        }
    }

    /// <summary>The initial RAM disk, unless a reset has come since it was loaded.</summary>
    private LoadedRange? Initrd => InitrdLoader.Current(Machine.Memory, _initrd);

    private Gpa LoadElf(ReadOnlyMemory<byte> file)
    {
        ElfImage image = ElfImage.Parse(file, ElfMachine.X64);
        foreach (ElfSegment segment in image.Segments)
            CheckAddress(segment.PhysicalAddress, segment.MemorySize);
        image.Load(Machine.Memory);
        return image.Entry;
    }

    private Gpa LoadWhole(BzImage image)
    {
        CheckAddress(image.PreferredAddress, image.MemorySize);
        return image.Load(Machine.Memory, image.PreferredAddress);
    }

    /// <summary>What the board places itself lies below 1 MiB.</summary>
    private static void CheckAddress(Gpa start, ulong size)
    {
        if (start.Value < KernelStart && size != 0)
            throw new InvalidImageException($"The kernel's {size} bytes at {start} do not lie above 1 MiB.");
    }

    private void LoadTables()
    {
        // Booting again without a reset places them anew.
        foreach (LoadedRange range in Interlocked.Exchange(ref _ownRanges, []))
            Machine.Memory.Loaded.Release(range);
        byte[] tables = BuildAcpiTables();
        if ((ulong)tables.Length > KernelStart - FirmwareStart)
            throw new VirtKitException($"The ACPI tables have {tables.Length} bytes, and there is room for {KernelStart - FirmwareStart}: the board has too many devices.");
        Load("the ACPI tables", Tables, tables);
        Load("the command line", CommandLine, [.. Encoding.UTF8.GetBytes(_options.CommandLine), 0]);
        ClaimOwn("the descriptor table of the kernel's entry", X64EntryState.DescriptorRange);
    }

    private void Load(string name, Gpa start, ReadOnlySpan<byte> content) => _ownRanges = [.. _ownRanges, Machine.Memory.Loaded.Write(name, start, content)];

    private void ClaimOwn(string name, (Gpa Start, ulong Size) range) => _ownRanges = [.. _ownRanges, Machine.Memory.Loaded.Claim(name, range.Start, range.Size)];

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
