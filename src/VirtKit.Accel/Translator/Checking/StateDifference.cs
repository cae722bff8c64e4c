using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>The fields of a hart's state by name, and what differs between two states, for people.</summary>
internal static class StateDifference
{
    private static readonly (string Name, Field Of)[] Fields =
    [
        ("pc", (in RiscVState s) => s.Pc),
        .. Enumerable.Range(0, 32).Select(i => ($"x{i}", (Field)((in RiscVState s) => s.X[i]))),
        .. Enumerable.Range(0, 32).Select(i => ($"f{i}", (Field)((in RiscVState s) => s.F[i]))),
        ("fcsr", (in RiscVState s) => s.Fcsr),
        ("privilege", (in RiscVState s) => (ulong)s.Privilege),
        ("started", (in RiscVState s) => s.Started ? 1UL : 0),
        ("waiting", (in RiscVState s) => s.Waiting ? 1UL : 0),
        ("reservation", (in RiscVState s) => s.Reservation),
        ("reserved value", (in RiscVState s) => s.ReservedValue),
        ("mstatus", (in RiscVState s) => s.Mstatus),
        ("mtvec", (in RiscVState s) => s.Mtvec),
        ("medeleg", (in RiscVState s) => s.Medeleg),
        ("mideleg", (in RiscVState s) => s.Mideleg),
        ("mip", (in RiscVState s) => s.Mip),
        ("mie", (in RiscVState s) => s.Mie),
        ("mcounteren", (in RiscVState s) => s.Mcounteren),
        ("mcountinhibit", (in RiscVState s) => s.Mcountinhibit),
        ("menvcfg", (in RiscVState s) => s.Menvcfg),
        ("mscratch", (in RiscVState s) => s.Mscratch),
        ("mepc", (in RiscVState s) => s.Mepc),
        ("mcause", (in RiscVState s) => s.Mcause),
        ("mtval", (in RiscVState s) => s.Mtval),
        ("mcycle", (in RiscVState s) => s.Mcycle),
        ("minstret", (in RiscVState s) => s.Minstret),
        ("stvec", (in RiscVState s) => s.Stvec),
        ("scounteren", (in RiscVState s) => s.Scounteren),
        ("senvcfg", (in RiscVState s) => s.Senvcfg),
        ("sscratch", (in RiscVState s) => s.Sscratch),
        ("sepc", (in RiscVState s) => s.Sepc),
        ("scause", (in RiscVState s) => s.Scause),
        ("stval", (in RiscVState s) => s.Stval),
        ("satp", (in RiscVState s) => s.Satp),
        ("stimecmp", (in RiscVState s) => s.Stimecmp),
        .. Enumerable.Range(0, 16).Select(i => ($"pmpaddr{i}", (Field)((in RiscVState s) => s.PmpAddress[i]))),
        .. Enumerable.Range(0, 16).Select(i => ($"pmp{i}cfg", (Field)((in RiscVState s) => s.PmpConfiguration[i]))),
    ];

    private delegate ulong Field(in RiscVState state);

    /// <returns>Nothing where they are equal in every bit.</returns>
    public static string? Find(in RiscVState expected, in RiscVState actual)
    {
        ReadOnlySpan<byte> a = MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in expected)), b = MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in actual));
        if (a.SequenceEqual(b))
            return null;
        var parts = new List<string>();
        foreach ((string name, Field of) in Fields)
        {
            ulong e = of(expected), f = of(actual);
            if (e != f)
                parts.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is {f:x}, not {e:x}"));
        }

        // What lies between the fields is no state, but a difference there is still one that nobody wanted.
        return parts.Count > 0 ? string.Join("; ", parts) : $"byte {a.CommonPrefixLength(b)} of the state, between its fields";
    }

    /// <summary>The states beside each other, a field a line; a star stands where the last two differ. Fields that are zero in all are left out.</summary>
    public static string Table(in RiscVState before, in RiscVState expected, in RiscVState actual)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"  {"",-14}  {"before",-16}  {"expected",-16}  translated\n");
        foreach ((string name, Field of) in Fields)
        {
            ulong a = of(before), b = of(expected), c = of(actual);
            if ((a | b | c) != 0)
                text.Append(CultureInfo.InvariantCulture, $"{(b == c ? ' ' : '*')} {name,-14}  {a:x16}  {b:x16}  {c:x16}\n");
        }

        return text.ToString();
    }
}
