using System.Buffers.Binary;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

/// <summary>Guest code that no compiler would write: random instructions of every row, with branches among them, over a data area that some registers point into.</summary>
internal sealed class RandomProgram
{
    public const ulong Code = 0x8000_0000, Data = 0x8001_0000, Handler = 0x8000_8000;
    public const int DataSize = 0x4000, Length = 320;

    // Kept as pointers into the data area: two that have homes in host registers, and one that has not.
    private static readonly int[] Pointers = [2, 9, 18];

    // csrr x30, mepc; addi x30, x30, 4; csrw mepc, x30; mret.
    private static readonly uint[] HandlerWords = [0x34102f73, 0x004f0f13, 0x341f1073, 0x30200073];

    // fence.i; csrrs fflags; csrrw fcsr; csrrs instret; csrrsi fflags; ecall; sfence.vma; sfence.vma s1.
    private static readonly uint[] SystemWords = [0x0000100f, 0x00102573, 0x00359573, 0xb02025f3, 0x0010e673, 0x00000073, 0x12000073, 0x12048073];

    private static readonly ulong[] Interesting =
    [
        0, 1, 2, 31, 32, 63, ulong.MaxValue, 0x7fffffff, 0x80000000, 0xffffffff, 1UL << 63, long.MaxValue, 0xffffffff_80000000,
        0x3ff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff4000000000000, 0x0010000000000000, 0x000fffffffffffff, 0x8000000000000000, 0x7fefffffffffffff,
        0xffffffff_3f800000, 0xffffffff_7f800000, 0xffffffff_7fc00000, 0xffffffff_00800000, 0xffffffff_00000001, 0xffffffff_80000000, 0x3f800000,
        0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000, 0x3fe0000000000000, 0xbff8000000000000,
    ];

    private readonly Random _random;
    private readonly InstructionSet.Row[] _rows;
    private readonly RandomLoops _loops;

    public RandomProgram(Random random, InstructionSet set)
    {
        _random = random;
        _loops = new RandomLoops(random, Pointers);
        _rows = [.. set.Rows.Where(r => r.Encoding.Form != InstructionForm.System)];
    }

    public byte[] NextCode()
    {
        var bytes = new byte[0x1_0000];
        int at = 0;
        if (_random.Next(2) == 0)
        {
            // Over a page's end.
            at = 0xc00 + _random.Next(0x100) * 2;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, Jump(0, at));
        }

        int end = at + Length * 4;
        while (at < end)
        {
            // At a page's end for certain.
            if (_random.Next(60) == 0 || (at & 0xfff) is >= 0xfa0 and <= 0xff6)
            {
                byte[] loop = _loops.Next(at);
                loop.CopyTo(bytes, at);
                at += loop.Length;
            }
            else if (_random.Next(4) == 0)
            {
                int half;
                do
                    half = _random.Next(0x10000);
                while ((half & 3) == 3);
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)half);
                at += 2;
            }
            else
            {
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), _random.Next(40) == 0 ? SystemWords[_random.Next(SystemWords.Length)] : NextWord());
                at += 4;
            }
        }

        // Back to the beginning.
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), Jump(at, 0));
        for (int i = 0; i < HandlerWords.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((int)(Handler - Code) + 4 * i), HandlerWords[i]);
        return bytes;
    }

    public byte[] NextData()
    {
        var bytes = new byte[DataSize];
        for (int i = 0; i < DataSize; i += 8)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i), NextValue());
        return bytes;
    }

    public RiscVState NextState(RiscVState state)
    {
        for (int i = 1; i < 32; i++)
            state.X[i] = NextValue();
        for (int i = 0; i < 32; i++)
            state.F[i] = NextValue();
        foreach (int pointer in Pointers)
            state.X[pointer] = Data + (ulong)_random.Next(DataSize / 16) * 8 + 0x1000;
        state.Pc = Code;
        state.Privilege = PrivilegeMode.Machine;
        state.Mtvec = Handler;
        state.Mstatus |= 0x6000;
        state.Fcsr = _random.Next(3) == 0 ? (ulong)_random.Next(256) : (ulong)_random.Next(32);
        return state;
    }

    private ulong NextValue() => _random.Next(3) switch
    {
        0 => Interesting[_random.Next(Interesting.Length)],
        1 => (ulong)_random.NextInt64(),
        _ => (ulong)_random.Next(-100, 100),
    };

    private uint NextWord()
    {
        InstructionSet.Row row = _rows[_random.Next(_rows.Length)];
        Encoding encoding = row.Encoding;
        uint word = row.Match | ((uint)_random.NextInt64(0x1_0000_0000) & ~row.Mask);
        switch (encoding.Format)
        {
            case InstructionFormat.B:
                // A short way, mostly ahead.
                word = word & ~0xfe000f80u | (uint)_random.Next(1, 12) << 9 | (_random.Next(6) == 0 ? 0xfe000080u : 0);
                break;
            case InstructionFormat.J:
                word = word & 0xfff | (uint)_random.Next(1, 20) << 22;
                break;
            case InstructionFormat.Load or InstructionFormat.FloatLoad or InstructionFormat.S or InstructionFormat.FloatStore or InstructionFormat.Atomic
                or InstructionFormat.Address when _random.Next(20) != 0:
                word = word & ~(31u << 15) | (uint)Pointers[_random.Next(3)] << 15;
                if (encoding.Format is InstructionFormat.Load or InstructionFormat.FloatLoad && _random.Next(4) != 0)
                    word &= ~(7u << 20);
                break;
        }

        if (encoding.WritesX && Pointers.Contains((int)(word >> 7 & 31)) && _random.Next(50) != 0)
            word = word & ~(31u << 7) | 10u << 7;
        // Dynamic rounding is what compilers ask for.
        if (encoding.Format is InstructionFormat.FloatR or InstructionFormat.FloatR4 && _random.Next(2) == 0)
            word |= 7u << 12;
        return word;
    }

    private static uint Jump(int from, int to)
    {
        uint offset = unchecked((uint)(to - from));
        return (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3ff) << 21 | (offset >> 11 & 1) << 20 | (offset >> 12 & 255) << 12 | 0x6f;
    }
}
