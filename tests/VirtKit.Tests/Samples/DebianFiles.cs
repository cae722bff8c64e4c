using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

/// <summary>What samples/BootLinux has fetched, or a skip that says how to fetch it.</summary>
internal static class DebianFiles
{
    public static LinuxGuestFiles RiscV() => Find(DebianGuest.RiscV64, "samples/BootLinux fetches it when it first runs");

    public static LinuxGuestFiles X64() => Find(DebianGuest.X64, "samples/BootLinux --guest x86-64 --fetch-only fetches it");

    private static LinuxGuestFiles Find(DebianGuest guest, string origin)
    {
        LinuxGuestFiles? files = guest.FindCached(Guest.CacheFolder());
        Require.File(files?.Kernel ?? $"Debian's kernel for {guest.Architecture}", origin);
        return files!;
    }
}
