using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;

namespace VirtKit.Devices.Boards;

/// <summary>What a <see cref="RiscVVirt"/> board is made of. Validated once, by the board's constructor.</summary>
public sealed record RiscVVirtOptions
{
    /// <summary>The machine: vCPUs, engine, scheduling, time, logger. Its architecture is a <see cref="RiscVArchitecture"/>; the default one provides the SBI,
    /// so that a kernel starts without firmware.</summary>
    public MachineOptions Machine { get; init; } = new() { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() } };

    /// <summary>The size of DRAM in bytes: a multiple of 2 MiB, from 8 MiB to 1 TiB. The host commits it as it is touched.</summary>
    public ulong MemorySize { get; init; } = 256 << 20;

    /// <summary>The other end of the serial port.</summary>
    public IConsoleBackend Console { get; init; } = new NullConsole();

    /// <summary>The other end of a virtio console beside the serial port; <see langword="null"/> for none.</summary>
    public IConsoleBackend? VirtioConsole { get; init; }

    /// <summary>The disks, in the order in which Linux names them. They stay the caller's.</summary>
    public IReadOnlyList<IBlockBackend> Disks { get; init; } = [];

    /// <summary>The network interfaces' far ends. They stay the caller's.</summary>
    public IReadOnlyList<INetworkBackend> Networks { get; init; } = [];

    /// <summary>The address of the first network interface; the others count on from it.</summary>
    public MacAddress FirstMacAddress { get; init; } = MacAddress.Local(1);

    /// <summary>Further virtio devices. With disks, networks, virtio console and the entropy source that is always there, at most
    /// <see cref="RiscVVirt.VirtioSlots"/>. They stay the caller's.</summary>
    public IReadOnlyList<VirtioDevice> VirtioDevices { get; init; } = [];

    /// <summary>The kernel's command line: at most 1023 bytes of UTF-8, without a zero, as many as Linux takes from 6.4 on. A kernel before takes 511, which
    /// <see cref="RiscVVirt.BootLinux"/> checks.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>What the guest's random numbers start from; <see langword="null"/> for the host's generator with <see cref="VcpuScheduling.Threads"/>, and for a
    /// fixed seed with <see cref="VcpuScheduling.Deterministic"/>, so that every run is the same. Seeded numbers are not secret.</summary>
    public int? Seed { get; init; }
}
