using System.Globalization;
using System.Text;
using VirtKit.Tests.RiscV.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Random privileged operations: CSR writes with values that may be stored only in part, changes of mode, traps and interrupts to M and S, accesses under
/// PMP. Every operation logs its number, what it read, and every trap logs its CSRs.</summary>
internal sealed class PrivilegedProgram
{
    public const int Log = 0x90_0000;
    public const ulong Tag = 0x0f00_0000_0000_0000;

    private const ulong Zone = GuestRun.Dram + 0x80_0000;

    /// <summary>Registers and the bits of a random value that are kept: where a mask is not all ones, QEMU 7.2 and we differ in the others, each within the
    /// specification.</summary>
    private static readonly (string Name, ulong Mask)[] Registers =
    [
        ("mstatus", 0x0000_0000_003f_f9bf),     // no TSR, which would trap the handler's own sret; no UXL and SXL, which QEMU lets software change; no VS, MPV and GVA, which it stores without V and H
        ("sstatus", 0x0000_0000_000c_e122),
        ("medeleg", 0xb0ff),                    // no ecalls, which lead back to M here; QEMU also delegates codes 10, 11 and those of H
        ("mideleg", 0x222),                     // QEMU also stores the bits of H and Sscofpmf
        ("mip", 0x222),
        ("sip", 0x222),
        ("mcounteren", 7),                      // QEMU stores all 32
        ("scounteren", 7),
        ("mcountinhibit", 5),
        ("senvcfg", 1),                         // Zicbom and Zicboz are not there, but QEMU stores their bits
        ("mscratch", ulong.MaxValue), ("sscratch", ulong.MaxValue),
        ("mcause", ulong.MaxValue), ("scause", ulong.MaxValue),
        ("mtval", ulong.MaxValue), ("stval", ulong.MaxValue),
        ("mepc", ulong.MaxValue - 1),           // QEMU keeps bit 0
        ("sepc", ulong.MaxValue - 1),
        ("misa", ulong.MaxValue),
        ("fcsr", ulong.MaxValue), ("frm", ulong.MaxValue), ("fflags", ulong.MaxValue),
    ];

    private readonly Random _random;
    private readonly StringBuilder _source = new();
    private readonly List<string> _operations = [];

    public PrivilegedProgram(Random random, int operations)
    {
        _random = random;
        for (int i = 0; i < operations; i++)
        {
            string operation = Operation(i);
            _operations.Add(operation);
            _source.Append(CultureInfo.InvariantCulture, $"li t0, {Tag + (ulong)i}\nsd t0, 0(gp)\naddi gp, gp, 8\n{operation}\n");
        }

        Image = RiscVAssembler.Assemble(Frame(_source.ToString()), GuestRun.Dram);
    }

    public byte[] Image { get; }

    /// <summary>The source of the operation with a number.</summary>
    public string this[int operation] => _operations[operation];

    private static string Frame(string body) => $"""
        li sp, {Zone}
        li gp, {GuestRun.Dram + Log}
        li t0, 0x02004000
        li t1, -1
        sd t1, 0(t0)
        li t0, {1UL << 63}
        csrw menvcfg, t0
        csrw stimecmp, t1
        csrw menvcfg, zero
        # Entry 0 lets everything reach the code, entry 1 the log, and entry 15 what no other entry is about.
        li t0, {(GuestRun.Dram >> 2) + (0x80_0000 >> 3) - 1}
        csrw pmpaddr0, t0
        li t0, {(GuestRun.Dram + Log >> 2) + (0x10_0000 >> 3) - 1}
        csrw pmpaddr1, t0
        csrw pmpaddr15, t1
        li t0, {Zone >> 2}
        {string.Join('\n', Enumerable.Range(2, 6).Select(i => $"csrw pmpaddr{i}, t0"))}
        li t0, 0x1f1f
        csrw pmpcfg0, t0
        li t0, {0x1fUL << 56}
        csrw pmpcfg2, t0
        la t0, machine
        addi t0, t0, 1
        csrw mtvec, t0
        la t0, supervisor
        addi t0, t0, 1
        csrw stvec, t0
        j start
        .align 64
        machine: {Vectors("mtrap")}
        .align 64
        supervisor: {Vectors("strap")}
        mtrap: sd t0, 32(gp)
        {LogTrap("mcause", "mepc", "mtval", "mstatus")}
        csrr tp, mcause
        blt tp, zero, minterrupt
        csrr t0, mepc
        addi t0, t0, 4
        csrw mepc, t0
        andi tp, tp, 8
        beqz tp, mdone
        # ecalls, and the page faults that do not happen here
        li t0, 0x1800
        csrs mstatus, t0
        j mdone
        minterrupt: csrw mie, zero
        mdone: ld t0, 32(gp)
        addi gp, gp, 32
        mret
        strap: sd t0, 32(gp)
        {LogTrap("scause", "sepc", "stval", "sstatus")}
        csrr tp, scause
        blt tp, zero, sinterrupt
        csrr t0, sepc
        addi t0, t0, 4
        csrw sepc, t0
        j sdone
        sinterrupt: csrw sie, zero
        sdone: ld t0, 32(gp)
        addi gp, gp, 32
        sret
        start:
        {body}
        ecall
        li t0, 0x100000
        li t1, 0x5555
        sw t1, 0(t0)
        end: j end
        """;

    private static string Vectors(string label) => string.Join('\n', Enumerable.Repeat($"j {label}", 16));

    private static string LogTrap(params string[] registers) => string.Join('\n', registers.Select((name, i) => $"csrr t0, {name}\nsd t0, {8 * i}(gp)"));

    private string Operation(int number)
    {
        switch (_random.Next(100))
        {
            case < 45:
                (string name, ulong mask) = Registers[_random.Next(Registers.Length)];
                return Change(name, Legal(name, Value() & mask));
            case < 52:
                // Where a trap would lead astray meanwhile.
                string vector = Pick("mtvec", "stvec");
                return $"ecall\ncsrci mstatus, 8\ncsrr t4, {vector}\nli t1, {Value() & ~2UL}\ncsrw {vector}, t1\ncsrr t3, {vector}\ncsrw {vector}, t4\n{Logged("t3")}";
            case < 56:
                return $"ecall\nli t1, {Value() & 0x0fff_ffff_ffff_ffff | (ulong)_random.Next(16) << 60}\ncsrw satp, t1\ncsrr t3, satp\ncsrw satp, zero\n{Logged("t3")}";
            case < 59:
                return $"ecall\nli t1, 32\ncsrc mip, t1\nli t1, {Value() & 0x8000_0000_0000_0001}\ncsrw menvcfg, t1\ncsrr t3, menvcfg\n{Logged("t3")}";
            case < 60:
                // One interrupt at a time: of several, QEMU 7.2 takes that of the lowest number (RV-Priv §3.1.9 has another order).
                return $"li t1, {Pick("2", "0x20", "0x200", "0x888")}\ncsrw mie, t1\ncsrr t3, mie\ncsrr t2, sie\n{Logged("t3")}\n{Logged("t2")}";
            case < 61:
                return $"ecall\ncsrci mstatus, 8\ncsrw mie, zero\nli t1, {Value()}\ncsrw sie, t1\ncsrr t2, sie\ncsrr t3, mie\ncsrw mie, zero\n{Logged("t2")}\n{Logged("t3")}";
            case < 62:
                // QEMU 7.2 lets stimecmp drive STIP also while STCE is 0.
                return $"li t1, 32\ncsrc mip, t1\nli t1, {Value() | 1UL << 62}\ncsrw stimecmp, t1\ncsrr t3, stimecmp\n{Logged("t3")}";
            case < 64:
                // Setting no bits of a read-only register is illegal unless rs1 is x0 (RV-Unpriv §7.1); QEMU 7.2 looks at the value.
                return _random.Next(3) == 0 ? Pick("csrw mhartid, t1", "csrr t3, mhartid") : $"csrr t5, {Pick("cycle", "time", "instret", "mcycle", "minstret")}";
            case < 72:
                // Not Svinval: QEMU 7.2 lets U-mode execute sfence.w.inval and sfence.inval.ir, and leaves mtval 0 for an illegal sinval.vma.
                return Pick("ecall", "ecall", "sfence.vma", "sfence.vma t1, t2", "fence.i", "fadd.s ft0, ft1, ft2, rne");
            case < 80:
                return Enter(number, _random.Next(2));
            case < 84:
                return $"li t0, 0x20000\ncsrc mstatus, t0\nla t0, n{number}\ncsrw sepc, t0\nsret\nn{number}: nop";
            case < 85:
                return $"ecall\ncsrw mie, zero\ncsrci medeleg, 4\nli t1, 0x400000\ncsrs mstatus, t1\n{Enter(number, 1)}\nsret\necall\nli t1, 0x400000\ncsrc mstatus, t1";
            case < 90:
                return Protection();
            default:
                return Access();
        }
    }

    /// <summary>Goes on in U or S, where M runs now. QEMU 7.2 does not clear MPRV when a return leaves M (RV-Priv §3.1.6.3), so that is done before.</summary>
    private static string Enter(int number, int mode) =>
        $"la t0, n{number}\ncsrw mepc, t0\nli t0, 0x21800\ncsrc mstatus, t0\nli t0, {mode << 11}\ncsrs mstatus, t0\nmret\nn{number}: nop";

    private string Change(string name, ulong value) =>
        $"li t1, {value}\nli t2, 0\nli t3, 0\n{Pick("csrrw", "csrrs", "csrrc")} t2, {name}, t1\ncsrr t3, {name}\n{Logged("t2")}\n{Logged("t3")}";

    private static string Logged(string register) => $"sd {register}, 0(gp)\naddi gp, gp, 8";

    /// <summary>Writes an entry between those that keep the program going: ranges of every kind within the zone.</summary>
    private string Protection()
    {
        int entry = _random.Next(2, 8);
        ulong address = Zone + (ulong)_random.Next(0x3000) >> 2;
        if (_random.Next(2) == 0)
            address |= (1UL << _random.Next(1, 11)) - 1;
        var text = new StringBuilder(Change($"pmpaddr{entry}", address).Replace("csrrs", "csrrw", StringComparison.Ordinal).Replace("csrrc", "csrrw", StringComparison.Ordinal));
        ulong configuration = 0x1f1f;
        for (int i = 2; i < 8; i++)
        {
            // Write without read is reserved, and QEMU stores it; a locked entry stays for the rest of the program.
            ulong value = (uint)_random.Next(32) | (_random.Next(40) == 0 ? 0x80u : 0);
            configuration |= ((value & 3) == 2 ? value | 1 : value) << (8 * i);
        }

        return text.Append(CultureInfo.InvariantCulture, $"\nli t1, {configuration}\ncsrw pmpcfg0, t1\ncsrr t3, pmpcfg0\n{Logged("t3")}").ToString();
    }

    private string Access()
    {
        int size = _random.Next(4), offset = _random.Next(0x3000) >> size << size;
        string name = ((string[])["b", "h", "w", "d"])[size], store = _random.Next(2) == 0 ? $"s{name} gp, 0(t0)\n" : "";
        return $"li t0, {Zone + (ulong)offset}\nli t3, 0\n{store}l{name} t3, 0(t0)\n{Logged("t3")}";
    }

    /// <summary>MPP 2 is reserved, and QEMU stores it: both bits change or none.</summary>
    private static ulong Legal(string name, ulong value) => name switch
    {
        "mstatus" when (value >> 11 & 3) != 0 => value | 3UL << 11,
        // Setting no bits dirties FS here and does not on QEMU 7.2.
        "fcsr" or "frm" or "fflags" => value | 1,
        _ => value,
    };

    private ulong Value() => _random.Next(4) == 0 ? 0UL - (ulong)_random.Next(2) : (ulong)_random.NextInt64() ^ (ulong)_random.NextInt64() << 1;

    private string Pick(params string[] of) => of[_random.Next(of.Length)];
}
