using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux;

namespace VirtKit.Tests.Support;

internal static partial class Require
{
    /// <summary>Debian's files, as samples/BootLinux keeps them.</summary>
    public static LinuxGuestFiles Debian(DebianGuest guest) =>
        guest.FindCached(Guest.CacheFolder()) ?? Missing<LinuxGuestFiles>($"Debian's kernel for {guest.Architecture} is not in the cache: samples/BootLinux --fetch-only fetches it, with --guest x86-64 the other");
}
