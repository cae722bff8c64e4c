namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>How the host's C code calls and is called: the only thing about an operating system that the emitter knows.</summary>
/// <param name="First">The register of the first argument.</param>
/// <param name="Second">The register of the second argument.</param>
/// <param name="Saved">The general registers that a function has to leave as they were.</param>
/// <param name="FirstSavedVector">The first of the vector registers that a function has to leave as they were, 16 for none.</param>
/// <param name="ShadowSpace">Bytes that a caller leaves free above the return address.</param>
internal sealed record HostConvention(Gp First, Gp Second, Gp[] Saved, int FirstSavedVector, int ShadowSpace)
{
    /// <summary>System V: Linux, macOS.</summary>
    public static HostConvention SystemV { get; } = new(Gp.Rdi, Gp.Rsi, [Gp.Rbx, Gp.Rbp, Gp.R12, Gp.R13, Gp.R14, Gp.R15], 16, 0);

    /// <summary>Microsoft x64.</summary>
    public static HostConvention Windows { get; } =
        new(Gp.Rcx, Gp.Rdx, [Gp.Rbx, Gp.Rbp, Gp.Rsi, Gp.Rdi, Gp.R12, Gp.R13, Gp.R14, Gp.R15], 6, 32);

    public static HostConvention Current => OperatingSystem.IsWindows() ? Windows : SystemV;

    /// <summary>Bytes of the frame below the saved registers: shadow space, saved vector registers, and what aligns the stack to 16.</summary>
    public int FrameSize
    {
        get
        {
            int size = ShadowSpace + 8 + 16 * (16 - FirstSavedVector);
            int pushed = 8 * (Saved.Length + 1);
            return size + (16 - (size + pushed) % 16) % 16;
        }
    }
}
