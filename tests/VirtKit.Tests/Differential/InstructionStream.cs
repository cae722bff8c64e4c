using System.Runtime.InteropServices;
using VirtKit.Execution;
using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Tests.Differential;

/// <summary>Random instructions in a straight line with branches ahead. sp points into the middle of the scratch memory, gp and tp are the program's own; all other
/// registers are anybody's.</summary>
internal sealed class InstructionStream
{
    private const uint Sp = 2, Gp = 3, Tp = 4;

    // Numbers that neither side has.
    private static readonly uint[] UnknownCsrs = [0x5c0, 0x8c0, 0xcc0, 0x9ff];

    private static readonly InstructionSet Set = new(GuestRun.Isa);

    // QEMU 7.2 counts ctzw into the upper word where the lower one is 0 and the result should be 32 (RV-Unpriv §28.4.2.2).
    private static readonly string[] WrongOnQemu = ["ctzw"];

    private static readonly InstructionSet.Row[] Computing = [.. Set.Rows.Where(r => !WrongOnQemu.Contains(r.Encoding.Mnemonic) && r.Encoding.Form is InstructionForm.Plain or InstructionForm.PcRelative
        && !IsMemory(r.Encoding.Format) && r.Encoding.Format is not (InstructionFormat.Csr or InstructionFormat.CsrImmediate or InstructionFormat.None))];

    private static readonly InstructionSet.Row[] Memory = [.. Set.Rows.Where(r => r.Encoding.Form == InstructionForm.Plain && IsMemory(r.Encoding.Format)
        && r.Encoding.Format != InstructionFormat.Atomic)];

    private static readonly InstructionSet.Row[] Atomics = [.. Set.Rows.Where(r => r.Encoding.Format == InstructionFormat.Atomic)];
    private static readonly InstructionSet.Row[] Branches = [.. Set.Rows.Where(r => r.Encoding.Form == InstructionForm.Branch)];
    private static readonly ILookup<int, ushort> ShortJumps = FindShortJumps();
    private readonly Random _random;
    private readonly List<byte> _code = [];

    public InstructionStream(Random random) => _random = random;

    public byte[] Code => [.. _code];

    public void Clear() => _code.Clear();

    /// <summary>Adds one instruction, with what has to stand before it.</summary>
    public int Add(int depth = 0)
    {
        switch (_random.Next(100))
        {
            case < 45:
                return Add(Computed());
            case < 58:
                return Compressed();
            case < 75:
                return Access();
            case < 83:
                return Atomic();
            case < 90:
                return depth > 2 ? Add(Computed()) : Jump(depth);
            case < 94:
                return Add(FloatCsr());
            case < 97:
                return Add(Computed() & ~0x7000u | (uint)_random.Next(8) << 12, legalOrTrap: true);
            default:
                return Trapping();
        }
    }

    private uint Computed()
    {
        InstructionSet.Row row = Pick(Computing);
        uint word = Fill(row);
        // Reserved rounding modes trap: seldom.
        if (HasRounding(row.Encoding.Format) && (word >> 12 & 7) is 5 or 6 && _random.Next(20) != 0)
            word &= ~(1u << 14);
        return word;
    }

    /// <summary>Loads and stores of every width, aligned and not, across the page boundary that sp points to.</summary>
    private int Access()
    {
        InstructionSet.Row row = Pick(Memory);
        uint word = Fill(row) & ~(31u << 15);
        if (_random.Next(3) != 0)
            return Add(word | Sp << 15);
        if (_random.Next(20) == 0)
            return Add(word & 0x707f | 0x100u << 20 | (row.Encoding.WritesX ? word & 0xf80 : 0));    // where nothing is; aligned, for QEMU 7.2 rounds mtval down
        return Add(IType(0x13, 7, Tp, AnyRegister(), 0x7ff)) + Add(RType(0x33, 0, Tp, Tp, Sp)) + Add(word & 0x7fff_ffff | Tp << 15);
    }

    private int Atomic()
    {
        InstructionSet.Row row = Pick(Atomics);
        uint width = row.Match & 0x7000;
        bool isLoadReserved = row.Match >> 27 == 2, misaligned = isLoadReserved && _random.Next(8) == 0;
        int count = Add(IType(0x13, 7, Tp, AnyRegister(), 0x7f8)) + Add(RType(0x33, 0, Tp, Tp, Sp));
        // An LR may trap. AMO and SC are aligned: QEMU 7.2 gives a misaligned AMO the cause of a load, and a misaligned SC none.
        if (misaligned)
            count += Add(IType(0x13, 0, Tp, Tp, (uint)_random.Next(1, 4)));
        count += Add(Fill(row) & ~(31u << 15) | Tp << 15);
        // A reservation is used up at once, by the same width: what other widths do is open (RV-Unpriv §14.2), and QEMU drops it in a trap.
        if (isLoadReserved && !misaligned)
        {
            if (_random.Next(3) == 0)
                count += Add(0x23u | width & 0x3000 | Tp << 15 | AnyRegister() << 20);
            uint conditional = Fill(Atomics.Single(r => r.Match >> 27 == 3 && (r.Match & 0x7000) == width));
            count += Add(conditional & ~(31u << 15) | Tp << 15);
        }

        return count;
    }

    /// <summary>A branch or jump over some instructions.</summary>
    private int Jump(int depth)
    {
        int start = _code.Count, kind = _random.Next(4);
        if (kind == 0)
            Add(0x17 | Tp << 7);                                             // auipc tp,0
        int at = _code.Count;
        _code.AddRange(kind == 3 ? new byte[2] : new byte[4]);
        int count = kind == 0 ? 2 : 1;
        int body = _random.Next(6);
        for (int i = 0; i < body; i++)
            count += Add(depth + 1);
        int offset = _code.Count - at;
        Span<byte> place = CollectionsMarshal.AsSpan(_code)[at..];
        if (kind == 3 && ShortJumps[offset].ToArray() is { Length: > 0 } halves)
        {
            MemoryMarshal.Write(place, halves[_random.Next(halves.Length)]);
            return count;
        }

        if (kind == 3)
        {
            MemoryMarshal.Write(place, (ushort)1);                           // c.nop: too far
            return count;
        }

        MemoryMarshal.Write(place, kind switch
        {
            0 => IType(0x67, 0, AnyDestination(), Tp, (uint)(_code.Count - start)),
            1 => 0x6f | AnyDestination() << 7 | ((uint)offset >> 1 & 0x3ff) << 21 | ((uint)offset >> 11 & 1) << 20,
            _ => Pick(Branches).Match | AnyRegister() << 15 | AnyRegister() << 20 | ((uint)offset >> 5 & 63) << 25 | ((uint)offset >> 1 & 15) << 8,
        });
        return count;
    }

    private int Compressed()
    {
        while (true)
        {
            var half = (ushort)_random.Next(0x10000);
            if ((half & 3) == 3)
                continue;
            uint word = C.Expand(half);
            if (Set.Decode(word) is not { } row)
            {
                if (_random.Next(10) == 0)
                    return Add(half);
                continue;
            }

            Operands o = row.Encoding.Decode(word);
            if (row.Encoding.Form != InstructionForm.Plain || (row.Encoding.WritesX && (uint)o.Rd is Sp or Gp or Tp))
                continue;
            if (!IsMemory(row.Encoding.Format) || o.Rs1 == Sp)
                return Add(half);
            return Add(IType(0x13, 0, o.Rs1, Sp, (uint)_random.Next(-512, 512))) + Add(half);
        }
    }

    private uint FloatCsr()
    {
        uint function = (uint)_random.Next(1, 8);
        return function == 4 ? FloatCsr() : 0x73 | function << 12 | (uint)_random.Next(1, 4) << 20 | AnyRegister() << 15 | AnyDestination() << 7;
    }

    private int Trapping()
    {
        switch (_random.Next(6))
        {
            case 0:
                return Add(0x00000073);                                      // ecall
            case 1:
                return Add(0x73 | (uint)_random.Next(1, 4) << 12 | UnknownCsrs[_random.Next(UnknownCsrs.Length)] << 20 | AnyRegister() << 15 | AnyDestination() << 7);
            case 2:
                return Add(0x0000100f);                                      // fence.i
            default:
                return Add((uint)_random.NextInt64(1L << 32) | 3, legalOrTrap: true);
        }
    }

    /// <summary>Adds a word that may be anything, unless it is a legal one that would lead elsewhere.</summary>
    private int Add(uint word, bool legalOrTrap)
    {
        bool harmless = legalOrTrap && (word & 0x7f) != 0x73 && Set.Decode(word) is null && (word & 0x1f) != 0x1f;
        return Add(harmless ? word : Computed());
    }

    private int Add(uint word)
    {
        _code.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in word)));
        return 1;
    }

    private int Add(ushort half)
    {
        _code.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(in half)));
        return 1;
    }

    private uint Fill(InstructionSet.Row row)
    {
        uint word = row.Match | (uint)_random.NextInt64(1L << 32) & ~row.Mask;
        return row.Encoding.WritesX && (word >> 7 & 31) is Sp or Gp or Tp ? word & ~(31u << 7) | AnyDestination() << 7 : word;
    }

    private T Pick<T>(T[] of) => of[_random.Next(of.Length)];

    private uint AnyRegister() => (uint)_random.Next(32);

    private uint AnyDestination() => (uint)_random.Next(28) is var n && n < 2 ? n : n + 3;

    private static uint IType(uint opcode, uint funct3, uint rd, uint rs1, uint imm) => opcode | funct3 << 12 | rd << 7 | rs1 << 15 | imm << 20;

    private static uint RType(uint opcode, uint funct3, uint rd, uint rs1, uint rs2) => opcode | funct3 << 12 | rd << 7 | rs1 << 15 | rs2 << 20;

    private static bool IsMemory(InstructionFormat format) => format is InstructionFormat.Load or InstructionFormat.S or InstructionFormat.FloatLoad
        or InstructionFormat.FloatStore or InstructionFormat.Atomic or InstructionFormat.Address;

    private static bool HasRounding(InstructionFormat format) => format is InstructionFormat.FloatR or InstructionFormat.FloatUnary or InstructionFormat.FloatR4
        or InstructionFormat.FloatToInteger or InstructionFormat.IntegerToFloat;

    /// <summary>The compressed jumps and branches by their offset.</summary>
    private static ILookup<int, ushort> FindShortJumps() => Enumerable.Range(0, 0x10000).Where(h => (h & 3) != 3)
        .Select(h => (Half: (ushort)h, Word: C.Expand((ushort)h)))
        .Where(x => Set.Decode(x.Word)?.Encoding.Form is InstructionForm.Branch or InstructionForm.Jump)
        .ToLookup(x => Set.Decode(x.Word)!.Encoding.Decode(x.Word).Imm, x => x.Half);
}
