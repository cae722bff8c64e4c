using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>The registers of a hart: the fields of <see cref="RiscVState"/>, a row each.</summary>
internal static class RiscVRegisters
{
    public static readonly GuestRegister[] All = Build();

    private static GuestRegister[] Build()
    {
        RiscVState s = default;
        return
        [
            new("pc", 64, RegisterGroup.General, OffsetOf(ref s, ref s.Pc)),
            .. File("x", 64, RegisterGroup.General, OffsetOf(ref s, ref s.X), 32),
            .. File("f", 64, RegisterGroup.Float, OffsetOf(ref s, ref s.F), 32),
            new("fcsr", 64, RegisterGroup.Float, OffsetOf(ref s, ref s.Fcsr)),
            new("privilege", 8, RegisterGroup.System, OffsetOf(ref s, ref s.Privilege)),
            new("started", 8, RegisterGroup.System, OffsetOf(ref s, ref s.Started)),
            new("waiting", 8, RegisterGroup.System, OffsetOf(ref s, ref s.Waiting)),
            new("suspended", 8, RegisterGroup.System, OffsetOf(ref s, ref s.Suspended)),
            System("reservation", OffsetOf(ref s, ref s.Reservation)),
            System("reserved value", OffsetOf(ref s, ref s.ReservedValue)),
            System("mstatus", OffsetOf(ref s, ref s.Mstatus)),
            System("mtvec", OffsetOf(ref s, ref s.Mtvec)),
            System("medeleg", OffsetOf(ref s, ref s.Medeleg)),
            System("mideleg", OffsetOf(ref s, ref s.Mideleg)),
            System("mip", OffsetOf(ref s, ref s.Mip)),
            System("mie", OffsetOf(ref s, ref s.Mie)),
            System("mcounteren", OffsetOf(ref s, ref s.Mcounteren)),
            System("mcountinhibit", OffsetOf(ref s, ref s.Mcountinhibit)),
            System("menvcfg", OffsetOf(ref s, ref s.Menvcfg)),
            System("mscratch", OffsetOf(ref s, ref s.Mscratch)),
            System("mepc", OffsetOf(ref s, ref s.Mepc)),
            System("mcause", OffsetOf(ref s, ref s.Mcause)),
            System("mtval", OffsetOf(ref s, ref s.Mtval)),
            System("mcycle", OffsetOf(ref s, ref s.Mcycle)),
            System("minstret", OffsetOf(ref s, ref s.Minstret)),
            System("stvec", OffsetOf(ref s, ref s.Stvec)),
            System("scounteren", OffsetOf(ref s, ref s.Scounteren)),
            System("senvcfg", OffsetOf(ref s, ref s.Senvcfg)),
            System("sscratch", OffsetOf(ref s, ref s.Sscratch)),
            System("sepc", OffsetOf(ref s, ref s.Sepc)),
            System("scause", OffsetOf(ref s, ref s.Scause)),
            System("stval", OffsetOf(ref s, ref s.Stval)),
            System("satp", OffsetOf(ref s, ref s.Satp)),
            System("stimecmp", OffsetOf(ref s, ref s.Stimecmp)),
            .. File("pmpaddr", 64, RegisterGroup.System, OffsetOf(ref s, ref s.PmpAddress), Pmp.EntryCount),
            .. File("pmpcfg", 8, RegisterGroup.System, OffsetOf(ref s, ref s.PmpConfiguration), Pmp.EntryCount),
        ];
    }

    private static GuestRegister System(string name, int offset) => new(name, 64, RegisterGroup.System, offset);

    private static IEnumerable<GuestRegister> File(string name, int bits, RegisterGroup group, int offset, int count) =>
        Enumerable.Range(0, count).Select(i => new GuestRegister($"{name}{i}", bits, group, offset + i * bits / 8));

    private static int OffsetOf<T>(ref RiscVState state, ref T field) => (int)Unsafe.ByteOffset(ref Unsafe.As<RiscVState, byte>(ref state), ref Unsafe.As<T, byte>(ref field));
}
