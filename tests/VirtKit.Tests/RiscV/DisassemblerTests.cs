using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

public sealed partial class DisassemblerTests
{
    private const ulong Address = 0x80001000;

    private readonly RiscVDisassembler _disassembler = new();

    [Fact]
    public void Disassemble_EveryRow_ReadsAsReviewed()
    {
        var text = new StringBuilder();
        var random = new Random(1);
        foreach (InstructionSet.Row row in new InstructionSet(RiscVArchitecture.FullIsa).Rows)
        {
            uint word = row.Match | (uint)random.NextInt64(1L << 32) & ~row.Mask;
            text.Append(CultureInfo.InvariantCulture, $"{word:x8}  {_disassembler.Disassemble(word, new Gva(Address), out _)}\n");
        }

        foreach (uint half in (ReadOnlySpan<uint>)[0x0001, 0x4501, 0x757d, 0x8082, 0x872a, 0xc789, 0xe299, 0x9002, 0x0000, 0x9c41])
            text.Append(CultureInfo.InvariantCulture, $"    {half:x4}  {_disassembler.Disassemble(half, new Gva(Address), out _)}\n");
        foreach (uint word in (ReadOnlySpan<uint>)[0x0100000f, 0x8330000f, 0x0310000f, 0x7c05a573, 0x14d51073, 0xffffffff, 0x1405252f])
            text.Append(CultureInfo.InvariantCulture, $"{word:x8}  {_disassembler.Disassemble(word, new Gva(Address), out _)}\n");
        Snapshot.Verify(text.ToString());
    }

    [Fact]
    public void Disassemble_AnyInstruction_AssemblesToTheSameWord()
    {
        Random random = Seed.Random();
        foreach (InstructionSet.Row row in new InstructionSet(RiscVArchitecture.FullIsa).Rows)
        {
            for (int i = 0; i < 50; i++)
            {
                uint word = row.Match | (uint)random.NextInt64(1L << 32) & ~row.Mask;
                string text = _disassembler.Disassemble(word, new Gva(Address), out int length);
                // fence has reserved fields that no text shows.
                if (row.Encoding.Format is InstructionFormat.Fence or InstructionFormat.None)
                    continue;
                Assert.Equal(4, length);
                Assert.True(word == BitConverter.ToUInt32(RiscVAssembler.Assemble(text, Address)), text);
            }
        }
    }

    [Fact]
    public async Task Disassemble_CompiledProgram_AgreesWithObjdump()
    {
        string compiler = Require.RiscVLinuxCompiler(), objdump = Require.Program("riscv64-linux-gnu-objdump", "binutils-riscv64-linux-gnu");
        using var folder = new TemporaryFolder();
        string source = Path.Combine(Repository.Root, "tests/VirtKit.Tests/RiscV/FloatingPointProbe.c"), program = folder.File("probe");
        await HostProcess.RunAsync(compiler, ["-O2", "-march=rv64gc_zba_zbb_zbs", "-static", "-o", program, source], folder.Path, Hang.Limit);
        string listing = await HostProcess.RunAsync(objdump, ["-d", "-M", "no-aliases", "-j", ".text", program], folder.Path, Hang.Limit);
        int compared = 0;
        foreach (Match line in InstructionLine().Matches(listing))
        {
            string expected = Plain(line.Groups["text"].Value);
            if (expected.StartsWith("c.", StringComparison.Ordinal) || expected.StartsWith('.') || expected.Contains("fence", StringComparison.Ordinal))
                continue;
            uint word = uint.Parse(line.Groups["code"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            ulong address = ulong.Parse(line.Groups["address"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            Assert.Equal(expected, Plain(_disassembler.Disassemble(word, new Gva(address), out _)));
            compared++;
        }

        Assert.InRange(compared, 1000, int.MaxValue);
    }

    /// <summary>Without comments, and with every number in one notation.</summary>
    private static string Plain(string text) =>
        Number().Replace(Comment().Replace(text, "").Trim().Replace('\t', ' '), m => m.Value.Replace("0x", "", StringComparison.Ordinal));

    [GeneratedRegex(@"^\s*(?<address>[0-9a-f]+):\s+(?<code>[0-9a-f]{4,8})\s+(?<text>.*)$", RegexOptions.Multiline)]
    private static partial Regex InstructionLine();

    [GeneratedRegex(@"\s*(<.*>|#.*)$")]
    private static partial Regex Comment();

    [GeneratedRegex("0x[0-9a-f]+$")]
    private static partial Regex Number();
}
