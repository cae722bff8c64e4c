namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>Which Debian is fetched for a guest architecture.</summary>
/// <param name="Suite">The suite's code name.</param>
/// <param name="Alias">What the suite is called by its rank. A mirror that is being updated, or a cache in front of it, may be consistent under one name only.</param>
/// <param name="Architecture">Debian's name of the architecture.</param>
/// <param name="KernelMetapackage">The package that depends on the newest kernel.</param>
/// <param name="KernelFile">How the kernel's file in <c>/boot</c> begins.</param>
/// <param name="Folder">Its folder in the cache.</param>
internal sealed record DebianGuest(string Suite, string Alias, string Architecture, string KernelMetapackage, string KernelFile, string Folder)
{
    public static DebianGuest RiscV { get; } = new("trixie", "stable", "riscv64", "linux-image-riscv64", "vmlinux-", "debian-13-riscv64");

    public static DebianGuest X64 { get; } = new("bookworm", "oldstable", "amd64", "linux-image-cloud-amd64", "vmlinuz-", "debian-12-amd64");
}
