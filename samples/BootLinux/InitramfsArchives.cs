using System.Text;
using VirtKit.Boot;
using VirtKit.Samples.BootLinux.Fetch;

namespace VirtKit.Samples.BootLinux;

/// <summary>The guest's initial RAM file system: busybox, our scripts and the kernel's own modules. Linux joins several archives that follow
/// one another, so what differs from run to run is an archive of its own.</summary>
internal static class InitramfsArchives
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
    public static IEnumerable<string> Modules => Devices.Concat(FileSystems).SelectMany(entry => entry.Modules);

    /// <summary>The archive that all runs share.</summary>
    public static byte[] Build(byte[] busybox, ModuleFolder modules)
    {
        CpioArchive archive = new CpioArchive()
            .AddDirectory("proc").AddDirectory("sys").AddDirectory("tmp").AddDirectory("mnt").AddDirectory("root")
            .AddCharacterDevice("dev/console", (UnixFileMode)0b110_000_000, 5, 1)
            .AddCharacterDevice("dev/null", (UnixFileMode)0b110_110_110, 1, 3)
            .AddFile("bin/busybox", Executable, busybox)
            .AddSymbolicLink("bin/sh", "busybox")
            .AddFile("bin/load", Executable, Script("load.sh"))
            .AddFile("init", Executable, Script("init.sh"));
        AddModules(archive, modules, Devices);
        return archive.ToArray();
    }

    /// <summary>The archive with what mounts a disk. It is four times the rest, which a guest without a disk need not unpack.</summary>
    public static byte[] BuildFileSystems(ModuleFolder modules)
    {
        CpioArchive archive = new CpioArchive()
            .AddFile("sbin/modprobe", Executable, Script("modprobe.sh"))
            .AddFile("etc/filesystems", Readable, "ext4\nvfat\n"u8);
        AddModules(archive, modules, FileSystems);
        return archive.ToArray();
    }

    /// <summary>The archive of one run that runs a command instead of an interactive shell.</summary>
    public static byte[] BuildCommand(string command) => new CpioArchive().AddFile("run/virtkit/command", Readable, Encoding.UTF8.GetBytes(command + "\n")).ToArray();

    /// <summary>The archive that a PC's guest needs to end with a status.</summary>
    public static byte[] BuildExitPort() => new CpioArchive().AddFile("bin/exit-port", Executable, ExitPortProgram.Build()).ToArray();

    private static void AddModules(CpioArchive archive, ModuleFolder modules, (string Purpose, string[] Modules)[] purposes)
    {
        foreach ((string purpose, string[] wanted) in purposes)
        {
            IReadOnlyList<(string Name, byte[] Content)> closure = modules.Closure(wanted);
            if (closure.Count == 0)
                continue; // built in
            foreach ((string name, byte[] content) in closure)
                archive.AddFile($"lib/modules/{purpose}/{name}.ko", Readable, content);
            archive.AddFile($"lib/modules/{purpose}/order", Readable, Encoding.ASCII.GetBytes(string.Join('\n', closure.Select(m => m.Name)) + "\n"));
        }
    }

    private static byte[] Script(string name)
    {
        using Stream stream = typeof(InitramfsArchives).Assembly.GetManifestResourceStream(name)!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
