using System.Globalization;
using System.Text;
using Iced.Intel;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Translated code as text: one instruction a line, with its place in code memory and with names for stubs and fields of the context. For reports and reviews;
/// nothing that runs guests comes here, so that the disassembler is not even loaded.</summary>
internal static unsafe class HostDisassembler
{
    /// <param name="memory">Where code memory begins, in the view that the stubs are in.</param>
    /// <param name="start">The first byte in it.</param>
    public static string Disassemble(byte* memory, int start, int length, Amd64Stubs stubs)
    {
        var decoder = Iced.Intel.Decoder.Create(64, new ByteArrayCodeReader(new ReadOnlySpan<byte>(memory + start, length).ToArray()));
        decoder.IP = (ulong)start;
        var formatter = new IntelFormatter(new Symbols(memory, stubs));
        formatter.Options.FirstOperandCharIndex = 8;
        formatter.Options.BranchLeadingZeros = false;
        var text = new StringBuilder();
        var output = new StringOutput();
        while (decoder.IP < (ulong)(start + length))
        {
            decoder.Decode(out Instruction instruction);
            formatter.Format(instruction, output);
            text.Append(CultureInfo.InvariantCulture, $"  {instruction.IP:x}  {output.ToStringAndReset()}\n");
        }

        return text.ToString();
    }

    private sealed class Symbols(byte* memory, Amd64Stubs stubs) : ISymbolResolver
    {
        private readonly Dictionary<int, string> _fields = new (int Offset, string Name)[]
        {
            (ContextLayout.Attention, "Attention"), (ContextLayout.FloatReady, "FloatReady"), (stubs.Guest.FloatStatus, stubs.Guest.FloatStatusName), (ContextLayout.ReadTlb, "ReadTlb"),
            (ContextLayout.WriteTlb, "WriteTlb"), (ContextLayout.Jumps, "Jumps"), (ContextLayout.Box, "Box"), (ContextLayout.SignOfSingle, "SignOfSingle"),
            (ContextLayout.SignOfDouble, "SignOfDouble"), (ContextLayout.Spilled, "Spilled"),
        }.Concat(RecentFields()).ToDictionary(field => GuestRegisters.Displacement(field.Offset), field => field.Name);

        private readonly Dictionary<ulong, string> _stubs = new()
        {
            [(ulong)(stubs.Slow - memory)] = nameof(stubs.Slow),
            [(ulong)(stubs.Unlinked - memory)] = nameof(stubs.Unlinked),
            [(ulong)(stubs.Unlinkable - memory)] = nameof(stubs.Unlinkable),
            [(ulong)(stubs.OutOfBudget - memory)] = nameof(stubs.OutOfBudget),
            [(ulong)(stubs.Computed - memory)] = nameof(stubs.Computed),
        };

        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            // A field of the context has a name and no number, which another field before it would change.
            bool isField = instruction.GetOpKind(instructionOperand < 0 ? 0 : instructionOperand) == OpKind.Memory && instruction.MemoryBase == Register.RBP;
            string? name = null;
            bool known = isField ? _fields.TryGetValue((int)(long)address, out name) : _stubs.TryGetValue(address, out name);
            symbol = known ? new SymbolResult(address, name!) : default;
            return known;
        }

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
    }
}
