using System.Globalization;
using System.Runtime.InteropServices;
using VirtKit.Tests.RiscV.Support;

namespace VirtKit.Tests.Differential;

/// <summary>A guest that makes every access of a table to the windows of the virt board, in machine mode, and notes for each the trap's cause, or what a load gave.</summary>
internal static class DeviceAccessProgram
{
    private const ulong Results = GuestRun.Dram + 0x20_0000;
    private const string Start = """
            la t0, trap
            csrw mtvec, t0
            la s0, table
            li s1, RESULTS
        next:
            ld a0, 0(s0)
            beqz a0, finish
            ld a1, 8(s0)
            ld a2, 16(s0)
            li a3, 0
            li s2, 0
            la t0, operations
            add t0, t0, a1
            jalr ra, 0(t0)
            sd s2, 0(s1)
            sd a3, 8(s1)
            addi s0, s0, 24
            addi s1, s1, 16
            j next
        finish:
            li t0, 0x100000
            li t1, 0x5555
            sw t1, 0(t0)
        stop:
            j stop
            .align 8
        trap:
            csrr s2, mcause
            csrr t1, mepc
            addi t1, t1, 4
            csrw mepc, t1
            mret
        operations:
        """;

    private static readonly (string Name, int Size, bool Stores)[] Operations =
        [("lbu", 1, false), ("lhu", 2, false), ("lwu", 4, false), ("ld", 8, false), ("sb", 1, true), ("sh", 2, true), ("sw", 4, true), ("sd", 8, true)];

    /// <summary>What is read where, at every width and at odd addresses too. A value that two machines have no reason to share is only read for whether it can be.</summary>
    private static readonly (string Name, ulong Address, ulong Size, bool Shared)[] Loads =
    [
        ("uart", 0x1000_0000, 8, true), ("plic.priority", 0xc00_0004, 8, true), ("plic.pending", 0xc00_1000, 4, true), ("plic.enable", 0xc00_2000, 8, true),
        ("plic.threshold", 0xc20_0000, 8, true), ("clint.msip", 0x200_0000, 4, true), ("clint.mtimecmp", 0x200_4000, 8, true), ("clint.mtime", 0x200_bff8, 8, false),
        ("clint.hole", 0x200_c000, 8, true), ("rtc.time", 0x10_1000, 8, false), ("rtc.alarm", 0x10_1008, 8, true), ("rtc.enabled", 0x10_1010, 8, true),
        ("rtc.end", 0x10_1ff8, 8, true), ("test", 0x10_0000, 8, true), ("virtio.magic", 0x1000_1000, 8, true), ("virtio.device", 0x1000_1008, 4, true),
        ("virtio.status", 0x1000_1070, 8, true), ("virtio.capacity", 0x1000_1100, 16, true), ("rom", 0x1ff8, 8, false), ("nothing", 0xf00_0000, 8, true),
    ];

    /// <summary>What is written where, with the widths that are aligned there: the low byte fits the first register, the others would show in its neighbours.</summary>
    private static readonly (string Name, ulong Address, ulong Value, ulong ReadBack)[] Stores =
    [
        ("uart.thr", 0x1000_0000, 0x0102_0304_0506_072e, 0x1000_0000), ("uart.ier", 0x1000_0001, 0x0102_0304_0506_0705, 0x1000_0000),
        ("uart.fcr", 0x1000_0002, 0x0102_0304_0506_0700, 0x1000_0000), ("uart.mcr", 0x1000_0004, 0x0102_0304_0506_0703, 0x1000_0000),
        ("uart.msr", 0x1000_0006, 0x0102_0304_0506_0703, 0x1000_0000), ("uart.scr", 0x1000_0007, 0x5a, 0x1000_0000),
        ("plic.priority", 0xc00_0004, 0x0506_0707_0506_0703, 0xc00_0004), ("plic.threshold", 0xc20_0000, 0x0506_0707_0506_0702, 0xc20_0000),
        ("clint.msip", 0x200_0000, 0x1_0000_0001, 0x200_0000), ("clint.mtimecmp", 0x200_4000, 0x7fff_0304_0506_0708, 0x200_4000),
        ("rtc.alarm", 0x10_100c, 0x7000_0000, 0x10_1008), ("rtc.enabled", 0x10_1010, 0x1, 0x10_1010),
        ("virtio.selector", 0x1000_1010, 0x1_0000_0000, 0x1000_1010), ("virtio.capacity", 0x1000_1100, 0x1122_3344_5566_7788, 0x1000_1100),
        ("rom", 0x1ff0, 0x1122_3344_5566_7788, 0x1ff0), ("nothing", 0xf00_0000, 0, 0xf00_0000),
    ];

    private static readonly List<Access> Accesses = [.. Loads.SelectMany(ExpandLoads), .. Stores.SelectMany(ExpandStores)];

    /// <summary>The guest, from the start of DRAM.</summary>
    public static byte[] Assemble()
    {
        IEnumerable<string> operations = Operations.Select(o => $"{o.Name} {(o.Stores ? "a2" : "a3")}, 0(a0)\nret");
        IEnumerable<string> table = Accesses.Select(a => $".dword 0x{a.Address:x}, {a.Operation * 8}, 0x{a.Value:x}");
        string source = Start.Replace("RESULTS", $"0x{Results:x}", StringComparison.Ordinal);
        return RiscVAssembler.Assemble($"{source}\n{string.Join('\n', operations)}\n.align 8\ntable:\n{string.Join('\n', table)}\n.dword 0\n", GuestRun.Dram);
    }

    /// <summary>What the guest has noted, a line for each access.</summary>
    public static IReadOnlyList<string> Read(byte[] dram)
    {
        ReadOnlySpan<ulong> results = MemoryMarshal.Cast<byte, ulong>(dram.AsSpan((int)(Results - GuestRun.Dram)));
        var lines = new List<string>();
        for (int i = 0; i < Accesses.Count; i++)
        {
            (string name, int size, bool stores) = Operations[Accesses[i].Operation];
            ulong cause = results[2 * i], value = results[2 * i + 1];
            string result = cause != 0 ? $"cause {cause}" : stores || !Accesses[i].Shared ? "done" : value.ToString("x" + size * 2, CultureInfo.InvariantCulture);
            lines.Add($"{Accesses[i].Name,-20} {name,-3} {result}");
        }

        return lines;
    }

    private static IEnumerable<Access> ExpandLoads((string Name, ulong Address, ulong Size, bool Shared) register)
    {
        for (int operation = 0; operation < 4; operation++)
        {
            for (ulong offset = 0; offset < register.Size; offset++)
                yield return new Access($"{register.Name}+{offset}", register.Address + offset, operation, 0, register.Shared);
        }
    }

    private static IEnumerable<Access> ExpandStores((string Name, ulong Address, ulong Value, ulong ReadBack) register)
    {
        for (int operation = 4; operation < 8; operation++)
        {
            if (register.Address % (ulong)Operations[operation].Size != 0)
                continue;
            yield return new Access($"{register.Name} <-", register.Address, operation, register.Value, Shared: true);
            // What it has done: a chip of bytes shows all of its registers, others the two that the widest store reaches.
            bool bytes = register.ReadBack == 0x1000_0000;
            for (ulong offset = 0; offset < 8; offset += bytes ? 1ul : 4)
                yield return new Access($"  {register.Name} then +{offset}", register.ReadBack + offset, bytes ? 0 : 2, 0, register.Name != "rom");
        }
    }

    private sealed record Access(string Name, ulong Address, int Operation, ulong Value, bool Shared);
}
