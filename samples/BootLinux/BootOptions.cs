namespace VirtKit.Samples.BootLinux;

/// <summary>The command line, read.</summary>
internal sealed record BootOptions
{
    public const string RiscVGuest = "riscv64", X64Guest = "x86-64";

    /// <summary>The guest architecture, one of the names above.</summary>
    public string Guest { get; init; } = RiscVGuest;

    public FileInfo? Kernel { get; init; }

    public FileInfo? Initrd { get; init; }

    public IReadOnlyList<FileInfo> Disks { get; init; } = [];

    public string Append { get; init; } = "";

    public int Cpus { get; init; } = 1;

    public MemorySize Memory { get; init; } = new(256 << 20);

    public string Engine { get; init; } = EngineName.Default;

    /// <summary>The processor of an x86-64 guest, by name.</summary>
    public string Cpu { get; init; } = CpuName.Default;

    /// <summary>The kernel's interface to KVM.</summary>
    public string KvmDevice { get; init; } = "/dev/kvm";

    public FileInfo? Firmware { get; init; }

    public string? Run { get; init; }

    /// <summary>Where Ctrl-A s saves the machine.</summary>
    public FileInfo? Save { get; init; }

    /// <summary>The saved machine that goes on instead of a boot.</summary>
    public FileInfo? Restore { get; init; }

    /// <summary>Where the run is recorded.</summary>
    public FileInfo? Record { get; init; }

    /// <summary>The recorded run that is repeated instead of a boot.</summary>
    public FileInfo? Replay { get; init; }

    /// <summary>Whether the run is one of a recording, as it is made or as it is repeated: in virtual time, and with disks that stay as they are.</summary>
    public bool IsRecorded => Record is not null || Replay is not null;

    /// <summary>The time that the guest sees, one of <see cref="GuestTime"/>'s names. Somebody at a terminal lives in the host's.</summary>
    public string Time { get; init; } = GuestTime.Host;

    /// <summary>Only what is in the cache is used.</summary>
    public bool NoFetch { get; init; }

    /// <summary>The Debian archive to fetch from, instead of those of the host's apt.</summary>
    public Uri? Mirror { get; init; }

    /// <summary>What is fetched need not be signed where this host cannot check it.</summary>
    public bool AllowUnsigned { get; init; }

    /// <summary>No progress, and the kernel keeps its messages.</summary>
    public bool Quiet { get; init; }
}
