using System.Globalization;

namespace VirtKit.X86;

/// <summary>The exceptions of the architecture (SDM 3A §6.3.1, table 6-1; APM 2 §8.1).</summary>
public static class X64Exception
{
    /// <summary>The vector of the page fault.</summary>
    public const int PageFault = 14;

    /// <summary>The exceptions that push an error code (SDM 3A §6.13).</summary>
    public static bool HasErrorCode(int vector) => vector is 8 or (>= 10 and <= 14) or 17 or 21 or 29 or 30;

    /// <summary>An exception's name, for people.</summary>
    public static string NameOf(int vector) => vector switch
    {
        0 => "divide error",
        1 => "debug exception",
        2 => "NMI",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack-segment fault",
        13 => "general protection fault",
        PageFault => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point exception",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => string.Create(CultureInfo.InvariantCulture, $"{(vector < 32 ? "exception" : "interrupt")} {vector}"),
    };
}
