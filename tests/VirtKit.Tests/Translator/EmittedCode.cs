using System.Globalization;
using System.Text;
using Iced.Intel;
using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Accel.Translator.X64;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

/// <summary>Translates a block of words without a machine, and disassembles it.</summary>
internal static unsafe class EmittedCode
{
    public static string Of(ulong pc, params uint[] words)
    {
        using ICodeMemory memory = CodeMemory.Allocate(1 << 18);
        using var sites = new RecordTable<Site>(256);
        using var exits = new RecordTable<ExitRecord>(256);
        using var places = new RecordTable<RecentPlace>(256);
        var assembler = new X64Assembler { Cursor = memory.Writable };
        // The stubs of one host's convention, so that the files are the same on all.
        var stubs = new X64Stubs(assembler, HostConvention.SystemV);
        assembler.Cursor = memory.Writable + 0x1000;
        var block = new IrBlock();
        var emitter = new X64Emitter(assembler, stubs, block, sites, exits, places);
        var set = new InstructionSet(RiscVArchitecture.FullIsa);
        var reader = new BlockReader(set, new RecorderTable(set), new IrBuilder(block, emitter));
        reader.Read(pc, IrBlock.MaxInstructions, at =>
        {
            int index = (int)(at - pc) / 4;
            return index < words.Length ? (ushort)(words[index] >> (int)((at & 2) * 8)) : null;
        });
        Assert.True(emitter.TryEmit());
        var symbols = new Dictionary<ulong, string>
        {
            [(ulong)(stubs.Slow - memory.Writable)] = "Slow",
            [(ulong)(stubs.Unlinked - memory.Writable)] = "Unlinked",
            [(ulong)(stubs.Unlinkable - memory.Writable)] = "Unlinkable",
            [(ulong)(stubs.OutOfBudget - memory.Writable)] = "OutOfBudget",
            [(ulong)(stubs.Computed - memory.Writable)] = "Computed",
        };
        return Disassemble(new ReadOnlySpan<byte>(memory.Writable + 0x1000, (int)(assembler.Cursor - memory.Writable) - 0x1000), symbols);
    }

    private static string Disassemble(ReadOnlySpan<byte> code, Dictionary<ulong, string> symbols)
    {
        var decoder = Iced.Intel.Decoder.Create(64, new ByteArrayCodeReader(code.ToArray()));
        decoder.IP = 0x1000;
        var formatter = new IntelFormatter(new Symbols(symbols));
        formatter.Options.FirstOperandCharIndex = 8;
        formatter.Options.BranchLeadingZeros = false;
        var text = new StringBuilder();
        var output = new StringOutput();
        while (decoder.IP < 0x1000 + (ulong)code.Length)
        {
            decoder.Decode(out Instruction instruction);
            formatter.Format(instruction, output);
            text.Append(CultureInfo.InvariantCulture, $"  {instruction.IP:x}  {output.ToStringAndReset()}\n");
        }

        return text.ToString();
    }

    private sealed class Symbols(Dictionary<ulong, string> names) : ISymbolResolver
    {
        private static readonly Dictionary<int, string> Fields = new (int Offset, string Name)[]
        {
            (ContextLayout.Attention, "Attention"), (ContextLayout.FloatReady, "FloatReady"), (ContextLayout.Fcsr, "Fcsr"), (ContextLayout.ReadTlb, "ReadTlb"),
            (ContextLayout.WriteTlb, "WriteTlb"), (ContextLayout.Jumps, "Jumps"), (ContextLayout.Box, "Box"), (ContextLayout.SignOfSingle, "SignOfSingle"),
            (ContextLayout.SignOfDouble, "SignOfDouble"),
        }.Concat(RecentFields()).ToDictionary(field => GuestRegisters.Displacement(field.Offset), field => field.Name);

        private static IEnumerable<(int Offset, string Name)> RecentFields()
        {
            yield return (ContextLayout.RecentAreUsed, "RecentAreUsed");
            for (int i = 0; i < 2 * RecentPages.Count; i++)
            {
                yield return (ContextLayout.RecentPages + 16 * i, $"Recent{i}.Tag");
                yield return (ContextLayout.RecentPages + 16 * i + 8, $"Recent{i}.Addend");
                yield return (ContextLayout.RecentMissesLeft + 4 * i, $"Recent{i}.Misses");
            }
        }

        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            // A field of the context has a name and no number, which another field before it would change.
            bool isField = instruction.GetOpKind(instructionOperand < 0 ? 0 : instructionOperand) == OpKind.Memory && instruction.MemoryBase == Register.RBP;
            string? name = null;
            bool known = isField ? Fields.TryGetValue((int)(long)address, out name) : names.TryGetValue(address, out name);
            symbol = known ? new SymbolResult(address, name!) : default;
            return known;
        }
    }
}
