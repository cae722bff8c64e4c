using System.Text;

namespace VirtKit.Devices.Boards;

/// <summary>The rules of a kernel's command line, which are the same for every board: it is UTF-8 that ends at a zero, and a guest cuts what is too long for it.</summary>
internal static class KernelCommandLine
{
    /// <summary>What x86 kernels take at most, in bytes without the zero that ends it (<c>COMMAND_LINE_SIZE</c> of arch/x86/include/asm/setup.h).</summary>
    public const int LongestX64 = 2047;

    /// <summary>What RISC-V kernels take at most, from Linux 6.4 on (<c>COMMAND_LINE_SIZE</c> of arch/riscv/include/uapi/asm/setup.h).</summary>
    public const int LongestRiscV = 1023;

    /// <summary>Checks a board's option.</summary>
    /// <exception cref="ArgumentException">It contains a zero or is too long.</exception>
    public static void Check(string commandLine, int longest, string parameter)
    {
        if (commandLine.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("A command line ends at its first zero, and this one goes on behind it.", parameter);
        int length = Encoding.UTF8.GetByteCount(commandLine);
        if (length > longest)
            throw new ArgumentException($"A command line has at most {longest} bytes, and this one has {length}: the guest's kernel would cut it.", parameter);
    }

    /// <summary>Checks the command line against what the kernel that is loaded says of itself.</summary>
    /// <exception cref="InvalidImageException">The kernel would cut it.</exception>
    public static void CheckKernel(string commandLine, uint limit)
    {
        int length = Encoding.UTF8.GetByteCount(commandLine);
        if ((uint)length > limit)
            throw new InvalidImageException($"The kernel takes a command line of at most {limit} bytes, and the board's has {length}.");
    }
}
