using System.Numerics;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>How many bits a value needs.</summary>
internal static class ValueBits
{
    public static byte Signed(ulong value) => (byte)(65 - BitOperations.LeadingZeroCount((long)value < 0 ? ~value : value));

    public static byte Unsigned(ulong value) => (byte)(64 - BitOperations.LeadingZeroCount(value));
}
