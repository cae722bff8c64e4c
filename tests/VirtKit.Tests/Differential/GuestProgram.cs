using System.Buffers.Binary;
using VirtKit.Tests.RiscV.Support;

namespace VirtKit.Tests.Differential;

/// <summary>A bare-metal program in M-mode that logs what it sees to memory: a record of all registers after every segment, one of every trap, whose instruction
/// it skips. gp points to the end of the log, sp into the scratch memory, tp is for the program's own use.</summary>
internal sealed class GuestProgram
{
    public const int Table = 0x10_0000, Scratch = 0x80_0000, ScratchSize = 0x4000, Log = 0x90_0000;

    /// <summary>x1 to x31, the floating-point registers and fcsr; x0's place holds the segment's address.</summary>
    public const int RecordSize = 65 * 8;

    /// <summary>mcause, mepc, mtval and mstatus.</summary>
    public const int TrapSize = 4 * 8;

    private const string Integers = "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6";
    private const string Floats = "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11";

    /// <summary>Values in whose neighbourhood arithmetic goes wrong.</summary>
    private static readonly ulong[] Corners =
    [
        0, 1, 2, 0x7f, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, long.MaxValue, 1UL << 63, ulong.MaxValue, 0xffff_ffff_8000_0000, 0xffff_ffff_7fff_ffff,
        0x3ff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001, 0x000f_ffff_ffff_ffff, 0x43e0_0000_0000_0000, 0xffff_ffff_7f80_0000,
        0xffff_ffff_7fc0_0000, 0xffff_ffff_7f80_0001, 0xffff_ffff_3f80_0000, 0xffff_ffff_007f_ffff, 0xffff_ffff_0080_0000, 0xffff_ffff_ff7f_ffff, 0xffff_ffff_5f00_0000,
    ];

    private readonly List<ulong> _starts = [];
    private readonly int _limit;

    /// <param name="segments">Runs of instructions between two records.</param>
    /// <param name="iterations">How often all segments run, each time on other values.</param>
    public GuestProgram(Random random, int segments, int segmentLength, int iterations)
    {
        var stream = new InstructionStream(random);
        int code = Prologue(iterations, out IReadOnlyDictionary<string, ulong> symbols).Length;
        var body = new List<byte>();
        for (int i = 0; i < segments; i++)
        {
            _starts.Add(GuestRun.Dram + (ulong)(code + body.Count));
            body.AddRange(Call(symbols["reload"], _starts[i]));
            stream.Clear();
            for (int n = 0; n < segmentLength;)
                n += stream.Add();
            body.AddRange(stream.Code);
            body.AddRange(Call(symbols["record"], GuestRun.Dram + (ulong)(code + body.Count)));
        }

        _starts.Add(GuestRun.Dram + (ulong)(code + body.Count));
        body.AddRange(RiscVAssembler.Assemble($"la tp, {symbols["next"]}\n jr tp", _starts[^1]));
        Assert.InRange(code + body.Count, 0, Table);
        Image = new byte[Scratch + ScratchSize];
        Prologue(iterations, out _).CopyTo(Image, 0);
        body.CopyTo(Image, code);
        for (int at = Table; at < Table + segments * iterations * RecordSize; at += 8)
            BinaryPrimitives.WriteUInt64LittleEndian(Image.AsSpan(at), Value(random));
        random.NextBytes(Image.AsSpan(Scratch));
        _limit = (int)(symbols["limit"] - GuestRun.Dram);
        Instructions = (long)segments * segmentLength * iterations;
        Records = segments * iterations;
    }

    public byte[] Image { get; }

    /// <summary>How many random instructions run, roughly: branches leave some out.</summary>
    public long Instructions { get; }

    /// <summary>How many segments run.</summary>
    public int Records { get; }

    /// <summary>The program that ends after some records.</summary>
    public byte[] CutTo(int records)
    {
        byte[] image = [.. Image];
        BinaryPrimitives.WriteInt64LittleEndian(image.AsSpan(_limit), records);
        return image;
    }

    /// <summary>The segment whose code an address lies in, with its bounds.</summary>
    public (ulong Start, ulong End) SegmentAt(ulong address)
    {
        int index = _starts.FindLastIndex(s => s <= address);
        return (_starts[index], index + 1 < _starts.Count ? _starts[index + 1] : _starts[index]);
    }

    private static byte[] Prologue(int iterations, out IReadOnlyDictionary<string, ulong> symbols)
    {
        string[] x = Integers.Split(' '), f = Floats.Split(' ');
        // The handler needs one register beside tp; its value waits in the free memory after the log.
        string source = $"""
            la t0, handler
            csrw mtvec, t0
            li t0, 0x6000
            csrs mstatus, t0
            li sp, {GuestRun.Dram + Scratch + ScratchSize / 2}
            li gp, {GuestRun.Dram + Log}
            li t0, {GuestRun.Dram + Table}
            csrw mscratch, t0
            li t0, -1
            csrw pmpaddr0, t0
            csrwi pmpcfg0, 0x1f
            j segments
            .align 4
            handler: csrr tp, mcause
            sd tp, 0(gp)
            csrr tp, mepc
            sd tp, 8(gp)
            lhu tp, 0(tp)
            sd t0, 32(gp)
            csrr t0, mtval
            sd t0, 16(gp)
            csrr t0, mstatus
            sd t0, 24(gp)
            andi tp, tp, 3
            sltiu tp, tp, 3
            slli tp, tp, 1
            csrr t0, mepc
            sub t0, t0, tp
            addi t0, t0, 4
            csrw mepc, t0
            ld t0, 32(gp)
            addi gp, gp, {TrapSize}
            mret
            reload: csrr ra, mscratch
            addi t0, ra, {RecordSize}
            csrw mscratch, t0
            ld t0, 512(ra)
            csrw fcsr, t0
            {string.Join('\n', f.Select((name, i) => $"fld {name}, {256 + 8 * i}(ra)"))}
            {string.Join('\n', x.Skip(5).Select((name, i) => $"ld {name}, {8 * (i + 5)}(ra)"))}
            ld ra, 8(ra)
            jr tp
            record: sd tp, 0(gp)
            {string.Join('\n', x.Skip(1).Select((name, i) => name is "gp" or "tp" ? "" : $"sd {name}, {8 * (i + 1)}(gp)"))}
            {string.Join('\n', f.Select((name, i) => $"fsd {name}, {256 + 8 * i}(gp)"))}
            csrr t0, fcsr
            sd t0, 512(gp)
            mv ra, tp
            la tp, limit
            ld t0, 0(tp)
            addi t0, t0, -1
            sd t0, 0(tp)
            addi gp, gp, {RecordSize}
            beqz t0, finish
            jr ra
            next: la t0, count
            ld t1, 0(t0)
            addi t1, t1, -1
            sd t1, 0(t0)
            bnez t1, segments
            finish: li t0, 0x100000
            li t1, 0x5555
            sw t1, 0(t0)
            end: j end
            .align 8
            limit: .dword 0
            count: .dword {iterations}
            segments:
            """;
        return RiscVAssembler.Assemble(source, GuestRun.Dram, out symbols);
    }

    private static byte[] Call(ulong target, ulong at) => RiscVAssembler.Assemble($"jal tp, {target}", at);

    private static ulong Value(Random random)
    {
        ulong any = (ulong)random.NextInt64() ^ (ulong)random.NextInt64() << 1;
        return random.Next(8) switch
        {
            0 or 1 => Corners[random.Next(Corners.Length)],
            2 => Corners[random.Next(Corners.Length)] + (ulong)random.Next(-3, 4),
            3 => any | 0xffff_ffff_0000_0000,
            4 => (any & 0x800f_ffff_ffff_ffff) | (ulong)random.Next(0x3e0, 0x420) << 52,
            5 => 0xffff_ffff_0000_0000 | (any & 0x807f_ffff) | (ulong)random.Next(0x60, 0x9f) << 23,
            6 => any >> random.Next(64),
            _ => any,
        };
    }
}
