using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;

namespace VirtKit.Devices.Boards;

/// <summary>What every board is made of. Validated once, by the board's constructor, which refuses with an <see cref="ArgumentException"/> that names the member.</summary>
public abstract record BoardOptions
{
    /// <summary>More devices than this are a mistake, and their names in ACPI have three digits.</summary>
    private const int LongestList = 1024;

    private static readonly string Parameter = "options";

    private protected BoardOptions(MachineOptions machine) => Machine = machine;

    /// <summary>The machine: name, vCPUs, engine, scheduling, time, logger. Its architecture is the board's; by default one vCPU of it with all other options as
    /// <see cref="MachineOptions"/> has them.</summary>
    public MachineOptions Machine { get; init; }

    /// <summary>The size of RAM in bytes, by default 256 MiB: a multiple of 2 MiB, at least what the board's options say, at most 1 TiB. The host commits it as it is
    /// touched.</summary>
    public ulong MemorySize { get; init; } = 256 << 20;

    /// <summary>The other end of the serial port; by default one that takes everything and says nothing. It stays the caller's.</summary>
    public IConsoleBackend Console { get; init; } = new NullConsole();

    /// <summary>The other end of a virtio console beside the serial port; <see langword="null"/>, the default, for none. It stays the caller's.</summary>
    public IConsoleBackend? VirtioConsole { get; init; }

    /// <summary>The disks, in the order in which Linux names them; none by default. They stay the caller's.</summary>
    public IReadOnlyList<IBlockBackend> Disks { get; init; } = [];

    /// <summary>The network interfaces' far ends; none by default. They stay the caller's.</summary>
    public IReadOnlyList<INetworkBackend> Networks { get; init; } = [];

    /// <summary>The address of the first network interface, by default <c>MacAddress.Local(1)</c>; the others count on from it.</summary>
    public MacAddress FirstMacAddress { get; init; } = MacAddress.Local(1);

    /// <summary>Further virtio devices, in the board's virtio slots; none by default. With disks, networks, virtio console and the entropy source that is always
    /// there, at most eight. They stay the caller's.</summary>
    /// <remarks>Where the slots do not suffice, a <see cref="VirtioMmio"/> among <see cref="Devices"/> is a further one.</remarks>
    public IReadOnlyList<VirtioDevice> VirtioDevices { get; init; } = [];

    /// <summary>Further memory-mapped devices, made in this order when the board is built: at most 1024, none by default. The guest finds those that are an
    /// <see cref="Boot.IFdtNode"/> or an <see cref="Boot.Acpi.IAcpiNode"/>, whichever the board describes itself by.</summary>
    public IReadOnlyList<BoardDevice> Devices { get; init; } = [];

    /// <summary>The kernel's command line in UTF-8, without a zero; empty by default.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>What the guest's random numbers start from; <see langword="null"/>, the default, for the host's generator with
    /// <see cref="VcpuScheduling.Threads"/>, and for a fixed seed with <see cref="VcpuScheduling.Deterministic"/>, so that every run is the same. Seeded numbers are
    /// not secret.</summary>
    public int? Seed { get; init; }

    /// <summary>Whether the guest can tell that it was restored: by a <see cref="VirtualMachineGenerationId"/>, which a restore changes or not. <see langword="null"/>, the default, for
    /// <see cref="GenerationIdMode.Fresh"/> where the guest's random numbers are the host's (see <see cref="Seed"/>), and for <see cref="GenerationIdMode.Absent"/> where every run is the
    /// same.</summary>
    /// <remarks>Snapshots of <see cref="GenerationIdMode.Fresh"/> and <see cref="GenerationIdMode.Kept"/> are each other's: a guest that is prepared the same way every time is forked into others
    /// where the board that restores says <see cref="GenerationIdMode.Fresh"/>. A board with <see cref="GenerationIdMode.Absent"/> has a device less, and restores only its like.</remarks>
    public GenerationIdMode? GenerationId { get; init; }

    /// <summary>Checks what concerns every board.</summary>
    internal virtual void Validate()
    {
        Refuse(Machine is null, nameof(Machine));
        Refuse(Machine!.Architecture is null, $"{nameof(Machine)}.{nameof(MachineOptions.Architecture)}");
        Refuse(Console is null, nameof(Console));
        Refuse(CommandLine is null, nameof(CommandLine));
        if (GenerationId is { } mode && !Enum.IsDefined(mode))
            throw Refusal($"{nameof(GenerationId)}: there is no {nameof(GenerationIdMode)} {mode}.");
        CheckElements(Disks, nameof(Disks));
        CheckElements(Networks, nameof(Networks));
        CheckElements(VirtioDevices, nameof(VirtioDevices));
        CheckElements(Devices, nameof(Devices));
        if (FirstMacAddress.Value + (ulong)Networks.Count > 1ul << 48)
            throw Refusal($"{nameof(FirstMacAddress)}: an address has 48 bits, and {Networks.Count} from {FirstMacAddress} on reach past the last.");
        if (VirtioDevices.Distinct().Count() != VirtioDevices.Count)
            throw Refusal($"{nameof(VirtioDevices)} has a device twice.");
        int slots = Disks.Count + Networks.Count + (VirtioConsole is null ? 0 : 1) + 1 + VirtioDevices.Count;
        if (slots > BoardVirtio.Slots)
            throw Refusal($"{nameof(VirtioDevices)}: the board has {BoardVirtio.Slots} virtio slots, and the options need {slots}.");
    }

    /// <summary>What the board's constructor throws: the fault is in its parameter, the options.</summary>
    internal static ArgumentException Refusal(string message, Exception? inner = null) => new(message, Parameter, inner);

    /// <summary>Refuses a list that is null or has a null element.</summary>
    private protected static void CheckElements<T>(IReadOnlyList<T>? elements, string member) where T : class
    {
        Refuse(elements is null, member);
        if (elements!.Count > LongestList)
            throw Refusal($"{member} has {elements.Count} elements, and {LongestList} are possible.");
        for (int i = 0; i < elements.Count; i++)
            Refuse(elements[i] is null, $"{member}[{i}]");
    }

    private static void Refuse(bool isNull, string member)
    {
        if (isNull)
            throw new ArgumentNullException(Parameter, $"{member} is null.");
    }
}
