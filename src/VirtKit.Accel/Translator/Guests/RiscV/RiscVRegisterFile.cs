using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Guests.RiscV;

/// <summary>A hart's registers for the translator. The pins follow the calling convention: what compilers use most.</summary>
internal static class RiscVRegisterFile
{
    public static GuestRegisterFile Instance { get; } = new()
    {
        Integers = 32,
        Floats = 32,
        Zero = 0,
        StackPointer = 2,
        // sp, s0, s1, a0 to a6.
        Pinned = [2, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        // fa0 to fa7, ft0 to ft3, fs0, fs1.
        PinnedFloats = [.. Floats(10, 11, 12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 8, 9)],
        FloatStatus = RiscVSlots.FcsrOffset,
        RoundingControl = 0xe0,
        Inexact = 1,
        FloatStatusName = "Fcsr",
    };

    private static int[] Floats(params int[] registers) => Array.ConvertAll(registers, register => RiscVSlots.F0 + register);
}
