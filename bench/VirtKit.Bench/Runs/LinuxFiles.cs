using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux;

namespace VirtKit.Bench.Runs;

/// <summary>A kernel and its initramfs.</summary>
internal sealed record LinuxFiles(string Kernel, string Initrd)
{
    /// <summary>The files of the command line, or what <c>samples/BootLinux</c> fetched last into its cache.</summary>
    /// <exception cref="BenchException">There are none, or one of them is missing.</exception>
    public static LinuxFiles Find(string? kernel, string? initrd)
    {
        if ((kernel is null) != (initrd is null))
            throw new BenchException("--kernel and --initrd go together.");
        LinuxFiles files = kernel is null ? FindCached() : new LinuxFiles(Path.GetFullPath(kernel), Path.GetFullPath(initrd!));
        string? missing = new[] { files.Kernel, files.Initrd }.FirstOrDefault(f => !File.Exists(f));
        return missing is null ? files : throw new BenchException($"There is no file {missing}.");
    }

    /// <summary>The kernel in the cache, and the initramfs that the sample would make for it.</summary>
    private static LinuxFiles FindCached() => Build(new BusyboxInitramfsOptions(), "initramfs.cpio");

    /// <summary>The kernel in the cache, and an initramfs that runs a script with the disks' file systems at hand and then powers off.</summary>
    public static LinuxFiles ForCommand(string script) => Build(new BusyboxInitramfsOptions { Command = script, MountsDisks = true }, "userland.cpio");

    private static LinuxFiles Build(BusyboxInitramfsOptions options, string name)
    {
        LinuxGuestFiles files = DebianGuest.RiscV64.FindCached(Guest.CacheFolder())
            ?? throw new BenchException("No kernel in the cache: run samples/BootLinux once, or name --kernel and --initrd.");
        string initrd = Repository.PathOf("artifacts", "bench", name);
        Directory.CreateDirectory(Path.GetDirectoryName(initrd)!);
        File.WriteAllBytes(initrd, BusyboxInitramfs.Build(files, options));
        return new LinuxFiles(files.Kernel, initrd);
    }
}
