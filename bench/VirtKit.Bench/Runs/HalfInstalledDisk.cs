using VirtKit.Boot.Linux;

namespace VirtKit.Bench.Runs;

/// <summary>An ext4 disk with a Debian for riscv64 that debootstrap has unpacked and not yet configured: its second stage runs in the guest.</summary>
internal static class HalfInstalledDisk
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(20);

    /// <summary>The disk of an earlier call, or one made now.</summary>
    /// <param name="folder">Where it is kept.</param>
    /// <exception cref="BenchException">debootstrap or mkfs.ext4 is missing or failed; both need a user that may create device nodes.</exception>
    public static async Task<string> Find(string folder, CancellationToken cancellation)
    {
        string disk = Path.Combine(folder, "userland.raw"), root = Path.Combine(folder, "userland-root"), part = disk + ".part";
        if (File.Exists(disk))
            return disk;
        if (Directory.Exists(root))
            Directory.Delete(root, recursive: true);
        await Console.Error.WriteLineAsync("Fetching and unpacking Debian's packages with debootstrap");
        // Without an address debootstrap takes the mirror that it was built with, or the one in DEBOOTSTRAP_MIRROR.
        string[] mirror = Environment.GetEnvironmentVariable("DEBOOTSTRAP_MIRROR") is { Length: > 0 } address ? [address] : [];
        await Run(new Invocation("debootstrap", ["--foreign", $"--arch={DebianGuest.RiscV64.Architecture}", "--variant=minbase", DebianGuest.RiscV64.Suite, root, .. mirror]));
        await using (FileStream file = File.Create(part))
            file.SetLength(1L << 30);
        await Run(new Invocation("mkfs.ext4", "-q", "-F", "-d", root, part));
        Directory.Delete(root, recursive: true);
        File.Move(part, disk);
        return disk;

        async Task Run(Invocation command)
        {
            TimedRun run = await TimedRun.ToEnd(command, Limit, cancellation);
            if (run.ExitCode != 0)
                throw new BenchException($"{command} failed:\n{run.Output}\n{run.Error}");
        }
    }
}
