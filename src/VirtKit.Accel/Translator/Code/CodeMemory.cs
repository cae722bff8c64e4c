namespace VirtKit.Accel.Translator.Code;

/// <summary>Chooses the host's way to have a page twice.</summary>
internal static class CodeMemory
{
    /// <exception cref="VirtKitException">The host gives no such memory; the message says why.</exception>
    public static ICodeMemory Allocate(int length)
    {
        if (OperatingSystem.IsLinux())
            return new LinuxCodeMemory(length);
        if (OperatingSystem.IsWindows())
            return new WindowsCodeMemory(length);
        if (OperatingSystem.IsMacOS())
            return new MacCodeMemory(length);
        throw new VirtKitException("executable memory is only known for Linux, Windows and macOS.");
    }
}
