namespace VirtKit.Boot.Linux;

/// <summary>The files that a small Linux guest is made of.</summary>
/// <param name="Kernel">The kernel's file: a Linux Image or a bzImage.</param>
/// <param name="Busybox">The file of a statically linked busybox.</param>
/// <param name="Modules">The folder of the kernel's modules, for <see cref="KernelModules.Open"/>.</param>
public sealed record LinuxGuestFiles(string Kernel, string Busybox, string Modules);
