using System.Text;

namespace VirtKit.Boot.Linux;

/// <summary>An initial RAM file system of busybox, a small init and the kernel's own modules: a guest that needs no disk. It is an interactive shell, or one command whose
/// exit status the machine ends with.</summary>
/// <remarks>
/// Its init mounts <c>/proc</c>, <c>/sys</c>, <c>/dev</c> and <c>/tmp</c>, loads the modules of the virtio devices that are there, and uses the virtio console
/// (<c>/dev/hvc0</c>) where there is one, otherwise <c>/dev/ttyS0</c>. A command's status ends the machine through the test finisher of a RISC-V board or a PC's debug exit
/// port; 0 is a plain power-off. Its first output is the terminal sequence <c>ESC _ virtkit:init ESC \</c>, which terminals ignore and a host can measure.
/// Linux unpacks archives that follow one another: <see cref="CpioArchive.Concatenate"/> adds a host's own files.
/// </remarks>
public static class BusyboxInitramfs
{
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101, Readable = (UnixFileMode)0b110_100_100;

    /// <summary>The modules that find the board's devices; the drivers stand under the virtio device's type, as sysfs spells it (virtio-1.2 §5).</summary>
    private static readonly (string Purpose, string[] Modules)[] Devices =
    [
        ("virtio", ["virtio_mmio"]), ("virtio-0x0001", ["virtio_net"]), ("virtio-0x0002", ["virtio_blk"]), ("virtio-0x0003", ["virtio_console"]), ("virtio-0x0004", ["virtio-rng"]),
    ];

    private static readonly (string Purpose, string[] Modules)[] FileSystems =
    [
        ("fs-ext4", ["crc32c_generic", "ext4"]), ("fs-vfat", ["vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"]),
    ];

    /// <summary>All modules that the archives hold, without their dependencies.</summary>
    internal static IEnumerable<string> Modules => Devices.Concat(FileSystems).SelectMany(entry => entry.Modules);

    /// <summary>Builds the archive, for a board's <c>LoadInitrd</c>.</summary>
    /// <param name="files">Busybox and the modules' folder; the kernel is not read.</param>
    /// <param name="options">What beside a shell; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Looked at before each module.</param>
    /// <exception cref="GuestFilesException">A module cannot be decompressed on this host.</exception>
    /// <exception cref="InvalidImageException">A module or busybox is damaged.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static byte[] Build(LinuxGuestFiles files, BusyboxInitramfsOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(files);
        options ??= new BusyboxInitramfsOptions();
        var modules = KernelModules.Open(files.Modules);
        byte[] busybox = File.ReadAllBytes(files.Busybox);
        // What differs from run to run is an archive of its own; so is what is large and not always needed.
        return CpioArchive.Concatenate(
            BuildShell(busybox, modules, cancellationToken),
            IsX64(busybox) ? BuildExitPort() : default,
            options.MountsDisks ? BuildFileSystems(modules, cancellationToken) : default,
            options.Modules.Count > 0 ? BuildModules(modules, options.Modules, cancellationToken) : default,
            options.Command is { } command ? BuildCommand(command) : default);
    }

    private static byte[] BuildShell(byte[] busybox, KernelModules modules, CancellationToken cancellationToken)
    {
        CpioArchive archive = new CpioArchive()
            .AddDirectory("proc").AddDirectory("sys").AddDirectory("tmp").AddDirectory("mnt").AddDirectory("root")
            .AddCharacterDevice("dev/console", (UnixFileMode)0b110_000_000, 5, 1)
            .AddCharacterDevice("dev/null", (UnixFileMode)0b110_110_110, 1, 3)
            .AddFile("bin/busybox", Executable, busybox)
            .AddSymbolicLink("bin/sh", "busybox")
            .AddFile("bin/load", Executable, Script("load.sh"))
            .AddFile("init", Executable, Script("init.sh"));
        AddModules(archive, modules, Devices, cancellationToken);
        return archive.ToArray();
    }

    /// <summary>What mounts a disk. It is four times the rest, which a guest without a disk need not unpack.</summary>
    private static byte[] BuildFileSystems(KernelModules modules, CancellationToken cancellationToken)
    {
        CpioArchive archive = new CpioArchive()
            .AddFile("sbin/modprobe", Executable, Script("modprobe.sh"))
            .AddFile("etc/filesystems", Readable, "ext4\nvfat\n"u8);
        AddModules(archive, modules, FileSystems, cancellationToken);
        return archive.ToArray();
    }

    /// <summary>Further modules, each with its dependencies in a folder of its name, which <c>load NAME</c> inserts.</summary>
    private static byte[] BuildModules(KernelModules modules, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var archive = new CpioArchive();
        AddModules(archive, modules, [.. names.Distinct().Select(name => (name, (string[])[name]))], cancellationToken);
        return archive.ToArray();
    }

    private static byte[] BuildCommand(string command) => new CpioArchive().AddFile("run/virtkit/command", Readable, Encoding.UTF8.GetBytes(command + "\n")).ToArray();

    /// <summary>What a PC's guest needs to end with a status.</summary>
    private static byte[] BuildExitPort() => new CpioArchive().AddFile("bin/exit-port", Executable, ExitPortProgram.Build()).ToArray();

    private static void AddModules(CpioArchive archive, KernelModules modules, (string Purpose, string[] Modules)[] purposes, CancellationToken cancellationToken)
    {
        foreach ((string purpose, string[] wanted) in purposes)
        {
            IReadOnlyList<KernelModule> closure = modules.Closure(wanted, cancellationToken);
            if (closure.Count == 0)
                continue; // built in
            foreach (KernelModule module in closure)
                archive.AddFile($"lib/modules/{purpose}/{module.Name}.ko", Readable, module.Content.Span);
            archive.AddFile($"lib/modules/{purpose}/order", Readable, Encoding.ASCII.GetBytes(string.Join('\n', closure.Select(m => m.Name)) + "\n"));
        }
    }

    private static bool IsX64(byte[] program) => program.Length > 20 && ElfImage.IsElf(program) && (program[18] | program[19] << 8) == (int)ElfMachine.X64;

    private static byte[] Script(string name)
    {
        using Stream stream = typeof(BusyboxInitramfs).Assembly.GetManifestResourceStream(name)!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
