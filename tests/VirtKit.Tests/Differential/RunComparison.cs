using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using VirtKit.RiscV;

namespace VirtKit.Tests.Differential;

/// <summary>Compares what two runs of a <see cref="GuestProgram"/> left in memory, and tells the first difference with the code that led to it.</summary>
internal static class RunComparison
{
    /// <returns>What differs, or <see langword="null"/> where the runs agree.</returns>
    public static string? Difference(GuestProgram program, byte[] expected, byte[] actual)
    {
        ReadOnlySpan<byte> want = expected.AsSpan(GuestProgram.Log, LogLength(expected)), have = actual.AsSpan(GuestProgram.Log, LogLength(actual));
        int common = want.CommonPrefixLength(have);
        if (common < Math.Max(want.Length, have.Length))
            return Describe(program, want, have, common);
        want = expected.AsSpan(GuestProgram.Scratch, GuestProgram.ScratchSize);
        common = want.CommonPrefixLength(actual.AsSpan(GuestProgram.Scratch, GuestProgram.ScratchSize));
        return common == want.Length ? null : $"scratch memory differs from offset 0x{common:x} on; sp points to 0x{GuestProgram.ScratchSize / 2:x}\n{LastSegment(program, expected)}";
    }

    private static string Describe(GuestProgram program, ReadOnlySpan<byte> want, ReadOnlySpan<byte> have, int at)
    {
        // The record that the difference lies in, and the last one before it.
        int record = 0;
        while (record + SizeAt(want, record) <= at)
            record += SizeAt(want, record);
        int size = Math.Min(Math.Min(SizeAt(want, record), want.Length - record), have.Length - record);
        var text = new StringBuilder();
        for (int i = 0; i < size; i += 8)
        {
            ulong w = BinaryPrimitives.ReadUInt64LittleEndian(want[(record + i)..]), h = BinaryPrimitives.ReadUInt64LittleEndian(have[(record + i)..]);
            if (w != h)
                text.Append(CultureInfo.InvariantCulture, $"{Name(i, SizeAt(want, record))}: QEMU {w:x}, here {h:x}\n");
        }

        return text.Append(Segment(program, want, record)).ToString();
    }

    private static string LastSegment(GuestProgram program, byte[] memory)
    {
        ReadOnlySpan<byte> log = memory.AsSpan(GuestProgram.Log, LogLength(memory));
        int record = 0;
        for (int next = SizeAt(log, 0); next + 8 < log.Length; next += SizeAt(log, next))
            record = next;
        return Segment(program, log, record);
    }

    /// <summary>The code of the segment that a record is about.</summary>
    private static string Segment(GuestProgram program, ReadOnlySpan<byte> log, int record)
    {
        var text = new StringBuilder();
        ulong address = BinaryPrimitives.ReadUInt64LittleEndian(log[(IsTrap(log, record) ? record + 8 : record)..]);
        if (!IsTrap(log, record))
            address -= 8;
        (ulong start, ulong end) = program.SegmentAt(address);
        var disassembler = new RiscVDisassembler(GuestRun.Isa);
        for (ulong pc = start; pc < end;)
        {
            uint code = BinaryPrimitives.ReadUInt32LittleEndian(program.Image.AsSpan((int)(pc - GuestRun.Dram)));
            string line = disassembler.Disassemble(code, new Gva(pc), out int length);
            text.Append(CultureInfo.InvariantCulture, $"{pc:x}: {(length == 2 ? code & 0xffff : code):x8}  {line}\n");
            pc += (ulong)length;
        }

        return text.ToString();
    }

    private static string Name(int offset, int size) => size == GuestProgram.TrapSize
        ? ((string[])["mcause", "mepc", "mtval", "mstatus"])[offset / 8]
        : offset switch { 0 => "pc", < 256 => $"x{offset / 8}", < 512 => $"f{offset / 8 - 32}", _ => "fcsr" };

    private static bool IsTrap(ReadOnlySpan<byte> log, int at) => BinaryPrimitives.ReadUInt64LittleEndian(log[at..]) < GuestRun.Dram;

    private static int SizeAt(ReadOnlySpan<byte> log, int at) => at + 8 <= log.Length && IsTrap(log, at) ? GuestProgram.TrapSize : GuestProgram.RecordSize;

    /// <summary>The log ends where memory is untouched; the last record is followed by nothing but a spilled register.</summary>
    private static int LogLength(byte[] memory)
    {
        ReadOnlySpan<byte> log = memory.AsSpan(GuestProgram.Log, 0x100_0000);
        return (log.LastIndexOfAnyExcept((byte)0) + 8) & ~7;
    }
}
