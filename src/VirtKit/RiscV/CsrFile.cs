using System.Diagnostics.CodeAnalysis;

namespace VirtKit.RiscV;

/// <summary>The control and status registers, a row each: number, name, how it reads and what a write does (RV-Priv §2.2 and the section of each register).</summary>
internal static class CsrFile
{
    private const ulong MisaRv64 = 2UL << 62;

    private static readonly Csr?[] Table = Build(
    [
        new(0x001, "fflags", h => h.State.Fcsr & 0x1f, (h, v) => WriteFcsr(h, h.State.Fcsr & ~0x1fUL | v & 0x1f), FloatOn),
        new(0x002, "frm", h => h.State.Fcsr >> 5, (h, v) => WriteFcsr(h, h.State.Fcsr & 0x1f | (v & 7) << 5), FloatOn),
        new(0x003, "fcsr", h => h.State.Fcsr, (h, v) => WriteFcsr(h, Warl.Fcsr(v)), FloatOn),
        new(0xc00, "cycle", h => h.Cycle, null, h => CounterOn(h, 0)),
        new(0xc01, "time", h => h.System.Timebase.Now, null, h => CounterOn(h, 1)),
        new(0xc02, "instret", h => h.Instret, null, h => CounterOn(h, 2)),

        new(0x100, "sstatus", h => ReadStatus(h) & Mstatus.SupervisorVisible, (h, v) => WriteStatus(h, v, Mstatus.SupervisorWritable)),
        new(0x104, "sie", h => h.State.Mie & h.State.Mideleg, (h, v) => WriteEnable(h, h.State.Mie & ~h.State.Mideleg | v & h.State.Mideleg)),
        new(0x105, "stvec", h => h.State.Stvec, (h, v) => h.State.Stvec = Warl.TrapVector(v)),
        new(0x106, "scounteren", h => h.State.Scounteren, (h, v) => h.State.Scounteren = Warl.CounterEnable(v)),
        new(0x10a, "senvcfg", h => h.State.Senvcfg, (h, v) => h.State.Senvcfg = Warl.Senvcfg(h.System.Instructions, h.State.Senvcfg, v)),
        new(0x140, "sscratch", h => h.State.Sscratch, (h, v) => h.State.Sscratch = v),
        new(0x141, "sepc", h => h.State.Sepc, (h, v) => h.State.Sepc = Warl.Address(v)),
        new(0x142, "scause", h => h.State.Scause, (h, v) => h.State.Scause = v),
        new(0x143, "stval", h => h.State.Stval, (h, v) => h.State.Stval = v),
        new(0x144, "sip", h => h.PendingInterrupts & h.State.Mideleg, (h, v) => WritePending(h, v, InterruptBit.Ssip & h.State.Mideleg), ForChange: h => h.SoftwarePending),
        new(0x14d, "stimecmp", h => h.State.Stimecmp, WriteStimecmp, StimecmpOn),
        new(0x180, "satp", h => h.State.Satp, WriteSatp, h => h.State.Privilege == PrivilegeMode.Machine || (h.State.Mstatus & Mstatus.Tvm) == 0),

        new(0xf11, "mvendorid", _ => 0, null),
        new(0xf12, "marchid", _ => 0, null),
        new(0xf13, "mimpid", _ => 0, null),
        new(0xf14, "mhartid", h => (ulong)h.Id, null),
        new(0xf15, "mconfigptr", _ => 0, null),
        new(0x300, "mstatus", ReadStatus, (h, v) => WriteStatus(h, v, Mstatus.Writable)),
        new(0x301, "misa", _ => MisaRv64 | Letters("acdfimsu"), (_, _) => { }),
        new(0x302, "medeleg", h => h.State.Medeleg, (h, v) => h.State.Medeleg = Warl.ExceptionDelegation(v)),
        new(0x303, "mideleg", h => h.State.Mideleg, WriteDelegation),
        new(0x304, "mie", h => h.State.Mie, (h, v) => WriteEnable(h, Warl.InterruptEnable(v))),
        new(0x305, "mtvec", h => h.State.Mtvec, (h, v) => h.State.Mtvec = Warl.TrapVector(v)),
        new(0x306, "mcounteren", h => h.State.Mcounteren, (h, v) => h.State.Mcounteren = Warl.CounterEnable(v)),
        new(0x30a, "menvcfg", h => h.State.Menvcfg, WriteMenvcfg),
        new(0x320, "mcountinhibit", h => h.State.Mcountinhibit, (h, v) => h.WriteInhibit(v)),
        new(0x340, "mscratch", h => h.State.Mscratch, (h, v) => h.State.Mscratch = v),
        new(0x341, "mepc", h => h.State.Mepc, (h, v) => h.State.Mepc = Warl.Address(v)),
        new(0x342, "mcause", h => h.State.Mcause, (h, v) => h.State.Mcause = v),
        new(0x343, "mtval", h => h.State.Mtval, (h, v) => h.State.Mtval = v),
        new(0x344, "mip", h => h.PendingInterrupts, (h, v) => WritePending(h, v, Warl.PendingWritable(h.State.Menvcfg)), ForChange: h => h.SoftwarePending),
        new(0xb00, "mcycle", h => h.Cycle, (h, v) => h.Cycle = v),
        new(0xb02, "minstret", h => h.Instret, (h, v) => h.Instret = v),
        .. Numbered(3, 29, i => new Csr(0xb00 + i, $"mhpmcounter{i}", _ => 0, (_, _) => { })),
        .. Numbered(3, 29, i => new Csr(0x320 + i, $"mhpmevent{i}", _ => 0, (_, _) => { })),
        .. Numbered(0, 2, i => new Csr(0x3a0 + 2 * i, $"pmpcfg{2 * i}", h => ReadPmpConfiguration(h, i), (h, v) => WritePmpConfiguration(h, i, v))),
        .. Numbered(0, Pmp.EntryCount, i => new Csr(0x3b0 + i, $"pmpaddr{i}", h => h.State.PmpAddress[i], (h, v) => WritePmpAddress(h, i, v))),
    ]);

    /// <summary>Finds the register of an instruction and checks that the current mode may access it so.</summary>
    public static bool TryFind(Hart hart, int number, bool writes, [NotNullWhen(true)] out Csr? csr)
    {
        csr = Table[number & 0xfff];
        if (csr is null || (int)hart.State.Privilege < (number >> 8 & 3))
            return false;
        return (!writes || csr.Write is not null) && (csr.Allowed is null || csr.Allowed(hart));
    }

    /// <summary>The register's name, or null for a number without one.</summary>
    public static string? NameOf(int number) => Table[number & 0xfff]?.Name;

    private static bool FloatOn(Hart hart) => (hart.State.Mstatus & Mstatus.Fs) != 0;

    private static bool CounterOn(Hart hart, int bit)
    {
        ref RiscVState state = ref hart.State;
        return hart.System.HasCounters
            && (state.Privilege == PrivilegeMode.Machine || (state.Mcounteren >> bit & 1) != 0)
            && (state.Privilege != PrivilegeMode.User || (state.Scounteren >> bit & 1) != 0);
    }

    private static bool StimecmpOn(Hart hart)
    {
        ref RiscVState state = ref hart.State;
        return hart.System.HasStimecmp
            && (state.Privilege == PrivilegeMode.Machine || ((state.Menvcfg & EnvironmentConfiguration.Stce) != 0 && (state.Mcounteren >> 1 & 1) != 0));
    }

    private static void WriteFcsr(Hart hart, ulong value)
    {
        hart.State.Fcsr = value;
        hart.State.Mstatus |= Mstatus.FsDirty;
        hart.StatusChanged();
    }

    private static ulong ReadStatus(Hart hart)
    {
        ulong status = hart.State.Mstatus;
        return (status & Mstatus.Fs) == Mstatus.FsDirty ? status | Mstatus.Sd : status;
    }

    private static void WriteStatus(Hart hart, ulong value, ulong writable)
    {
        ulong old = hart.State.Mstatus;
        ulong status = Warl.Status(old, value, writable);
        hart.State.Mstatus = status;
        // MXR is no part of what the TLBs are kept apart by.
        if (((old ^ status) & Mstatus.Mxr) != 0)
            hart.Mmu.Flush();
        hart.StatusChanged();
        hart.RequestAttention();
    }

    private static void WriteEnable(Hart hart, ulong value)
    {
        hart.State.Mie = value;
        hart.RequestAttention();
    }

    private static void WriteDelegation(Hart hart, ulong value)
    {
        hart.State.Mideleg = Warl.InterruptDelegation(value);
        hart.RequestAttention();
    }

    private static void WritePending(Hart hart, ulong value, ulong writable)
    {
        hart.SoftwarePending = hart.SoftwarePending & ~writable | value & writable;
    }

    private static void WriteStimecmp(Hart hart, ulong value)
    {
        hart.State.Stimecmp = value;
        hart.UpdateStimecmp();
    }

    private static void WriteSatp(Hart hart, ulong value)
    {
        ulong old = hart.State.Satp;
        hart.State.Satp = Warl.Satp(old, value);
        if (hart.State.Satp != old)
            hart.Mmu.SelectSpace();
    }

    private static void WriteMenvcfg(Hart hart, ulong value)
    {
        hart.State.Menvcfg = Warl.Menvcfg(hart.System.Instructions, hart.State.Menvcfg, value);
        // From here on STIP is the comparison's alone (RV-Priv §3.1.9).
        if ((hart.State.Menvcfg & EnvironmentConfiguration.Stce) != 0)
            hart.State.Mip &= ~InterruptBit.Stip;
        hart.UpdateStimecmp();
    }

    private static ulong ReadPmpConfiguration(Hart hart, int register)
    {
        ulong value = 0;
        for (int i = 0; i < 8; i++)
            value |= (ulong)hart.State.PmpConfiguration[register * 8 + i] << (8 * i);
        return value;
    }

    private static void WritePmpConfiguration(Hart hart, int register, ulong value)
    {
        for (int i = 0; i < 8; i++)
        {
            ref byte configuration = ref hart.State.PmpConfiguration[register * 8 + i];
            configuration = Pmp.Legalize(configuration, (byte)(value >> (8 * i)));
        }

        PmpChanged(hart);
    }

    private static void WritePmpAddress(Hart hart, int index, ulong value)
    {
        if (Pmp.IsAddressLocked(hart.State, index))
            return;
        hart.State.PmpAddress[index] = Warl.ProtectedAddress(value);
        PmpChanged(hart);
    }

    private static void PmpChanged(Hart hart)
    {
        hart.Mmu.Pmp.Update(hart.State);
        hart.Mmu.Flush();
    }

    private static ulong Letters(string letters)
    {
        ulong bits = 0;
        foreach (char letter in letters)
            bits |= 1UL << (letter - 'a');
        return bits;
    }

    private static Csr[] Numbered(int first, int count, Func<int, Csr> create)
    {
        var rows = new Csr[count];
        for (int i = 0; i < count; i++)
            rows[i] = create(first + i);
        return rows;
    }

    private static Csr?[] Build(Csr[] rows)
    {
        var table = new Csr?[4096];
        foreach (Csr row in rows)
            table[row.Number] = row;
        return table;
    }

    /// <summary>One register.</summary>
    /// <param name="Number">Bits 9:8 are the lowest privilege that may access it (RV-Priv §2.1).</param>
    /// <param name="Name">The specification's name.</param>
    /// <param name="Read">The value that an instruction reads.</param>
    /// <param name="Write">What a write does; none where the register is read-only.</param>
    /// <param name="Allowed">What access needs beyond the privilege in the number.</param>
    /// <param name="ForChange">What setting and clearing bits starts from, where that is not what reading gives (RV-Priv §3.1.9, SEIP).</param>
    internal sealed record Csr(
        int Number, string Name, Func<Hart, ulong> Read, Action<Hart, ulong>? Write, Func<Hart, bool>? Allowed = null, Func<Hart, ulong>? ForChange = null)
    {
        public ulong ReadForChange(Hart hart, ulong read) => ForChange is null ? read : ForChange(hart);
    }
}
