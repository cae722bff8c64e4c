using System.Globalization;
using System.Runtime.InteropServices;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>What differs between two states, for people.</summary>
internal static class StateDifference
{
    /// <returns>Nothing where they are equal in every bit.</returns>
    public static string? Find(in RiscVState expected, in RiscVState actual)
    {
        ReadOnlySpan<byte> a = MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in expected)), b = MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in actual));
        int same = a.CommonPrefixLength(b);
        return same == a.Length ? null : $"{Describe(expected, actual)} (first at byte {same} of the state)";
    }

    private static string Describe(in RiscVState expected, in RiscVState actual)
    {
        var parts = new List<string>();
        for (int i = 0; i < 32; i++)
        {
            Add($"x{i}", expected.X[i], actual.X[i]);
            Add($"f{i}", expected.F[i], actual.F[i]);
        }

        Add("pc", expected.Pc, actual.Pc);
        Add("fcsr", expected.Fcsr, actual.Fcsr);
        Add("mstatus", expected.Mstatus, actual.Mstatus);
        Add("mcause", expected.Mcause, actual.Mcause);
        Add("mepc", expected.Mepc, actual.Mepc);
        Add("mtval", expected.Mtval, actual.Mtval);
        Add("minstret", expected.Minstret, actual.Minstret);
        Add("reservation", expected.Reservation, actual.Reservation);
        return string.Join("; ", parts);

        void Add(string name, ulong a, ulong b)
        {
            if (a != b)
                parts.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is {b:x}, not {a:x}"));
        }
    }
}
