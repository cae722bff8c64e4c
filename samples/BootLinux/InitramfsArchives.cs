using System.Text;
using VirtKit.Boot;
using VirtKit.Samples.BootLinux.Fetch;

namespace VirtKit.Samples.BootLinux;

/// <summary>The guest's initial RAM file system: busybox, <c>init.sh</c> and the modules that find the board's devices. Linux joins several archives that follow
/// one another, so what differs from run to run is an archive of its own.</summary>
internal static class InitramfsArchives
{
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101, Readable = (UnixFileMode)0b110_100_100;

    private static readonly string[] DeviceModules = ["virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng"];
    private static readonly string[] FileSystemModules = ["crc32c_generic", "ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"];

    /// <summary>The archive that all runs share.</summary>
    public static byte[] Build(byte[] busybox, ModuleFolder modules)
    {
        CpioArchive archive = new CpioArchive()
            .AddDirectory("proc").AddDirectory("sys").AddDirectory("tmp").AddDirectory("mnt").AddDirectory("root")
            .AddCharacterDevice("dev/console", (UnixFileMode)0b110_000_000, 5, 1)
            .AddCharacterDevice("dev/null", (UnixFileMode)0b110_110_110, 1, 3)
            .AddFile("bin/busybox", Executable, busybox)
            .AddSymbolicLink("bin/sh", "busybox")
            .AddFile("init", Executable, Script());
        AddModules(archive, "devices", modules.Closure(DeviceModules));
        return archive.ToArray();
    }

    /// <summary>The archive with the modules that mount a disk. They are four times the rest, which a guest without a disk need not unpack.</summary>
    public static byte[] BuildFileSystems(ModuleFolder modules)
    {
        var archive = new CpioArchive();
        AddModules(archive, "filesystems", modules.Closure(FileSystemModules));
        return archive.ToArray();
    }

    /// <summary>The archive of one run that runs a command instead of an interactive shell.</summary>
    public static byte[] BuildCommand(string command) => new CpioArchive().AddFile("run/virtkit/command", Readable, Encoding.UTF8.GetBytes(command + "\n")).ToArray();

    private static void AddModules(CpioArchive archive, string list, IReadOnlyList<(string Name, byte[] Content)> modules)
    {
        foreach ((string name, byte[] content) in modules)
            archive.AddFile($"lib/modules/{list}/{name}.ko", Readable, content);
        archive.AddFile($"lib/modules/{list}/order", Readable, Encoding.ASCII.GetBytes(string.Join('\n', modules.Select(m => m.Name)) + "\n"));
    }

    private static byte[] Script()
    {
        using Stream stream = typeof(InitramfsArchives).Assembly.GetManifestResourceStream("init.sh")!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
