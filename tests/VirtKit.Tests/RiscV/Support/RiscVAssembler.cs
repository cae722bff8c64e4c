using System.Globalization;
using System.Runtime.InteropServices;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>A small assembler for guests that stand in tests: one statement or label a line, the rows of <see cref="InstructionSet"/>, the usual
/// pseudo-instructions, <c>.word</c>, <c>.half</c>, <c>.dword</c>, <c>.zero n</c>, <c>.align n</c> (bytes) and <c>.org address</c>; <c>#</c> begins a comment.</summary>
internal sealed class RiscVAssembler
{
    private static readonly Dictionary<string, Encoding> Rows = new InstructionSet(RiscVArchitecture.FullIsa).Rows.ToDictionary(r => r.Encoding.Mnemonic, r => r.Encoding);
    private static readonly Dictionary<string, int> Csrs = Enumerable.Range(0, 4096).Where(n => CsrFile.NameOf(n) is not null).ToDictionary(n => CsrFile.NameOf(n)!, n => n);

    private readonly ulong _origin;
    private readonly Dictionary<string, ulong> _symbols = [];
    private readonly List<byte> _bytes = [];
    private bool _final;

    private RiscVAssembler(ulong origin) => _origin = origin;

    private ulong Here => _origin + (ulong)_bytes.Count;

    /// <summary>Assembles a source, and gives its labels.</summary>
    public static byte[] Assemble(string source, ulong origin, out IReadOnlyDictionary<string, ulong> symbols)
    {
        var assembler = new RiscVAssembler(origin);
        string[] lines = source.Split('\n');
        // Labels ahead have the value 0 in the first pass; no statement's size depends on one.
        foreach (bool final in (ReadOnlySpan<bool>)[false, true])
        {
            assembler._final = final;
            assembler._bytes.Clear();
            foreach (string line in lines)
                assembler.Line(line.Split('#')[0].Trim());
        }

        symbols = assembler._symbols;
        return [.. assembler._bytes];
    }

    /// <inheritdoc cref="Assemble(string, ulong, out IReadOnlyDictionary{string, ulong})"/>
    public static byte[] Assemble(string source, ulong origin) => Assemble(source, origin, out _);

    private void Line(string line)
    {
        for (int colon; (colon = line.IndexOf(':', StringComparison.Ordinal)) >= 0; line = line[(colon + 1)..].Trim())
            _symbols[line[..colon].Trim()] = Here;
        if (line.Length == 0)
            return;
        int space = line.IndexOf(' ', StringComparison.Ordinal);
        string mnemonic = space < 0 ? line : line[..space];
        string[] operands = space < 0 ? [] : line[space..].Split(',', StringSplitOptions.TrimEntries);
        try
        {
            Statement(mnemonic, operands);
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or IndexOutOfRangeException or OverflowException)
        {
            throw new FormatException($"{line}: {e.Message}", e);
        }
    }

    private void Statement(string mnemonic, string[] o)
    {
        switch (mnemonic)
        {
            case ".dword":
                Array.ForEach(o, value => Add(Value(value)));
                break;
            case ".word":
                Array.ForEach(o, value => Add((uint)Value(value)));
                break;
            case ".half":
                Array.ForEach(o, value => Add((ushort)Value(value)));
                break;
            case ".zero":
                _bytes.AddRange(new byte[(int)Value(o[0])]);
                break;
            case ".align":
                _bytes.AddRange(new byte[(int)(0 - Here & Value(o[0]) - 1)]);
                break;
            case ".org":
                _bytes.AddRange(new byte[checked((int)(Value(o[0]) - Here))]);
                break;
            case "la":
                long offset = _final ? (long)(Value(o[1]) - Here) : 0;
                int low = (int)(offset << 52 >> 52);
                Instruction("auipc", o[0], ((offset - low >> 12) & 0xfffff).ToString(CultureInfo.InvariantCulture));
                Instruction("addi", o[0], o[0], low.ToString(CultureInfo.InvariantCulture));
                break;
            case "li":
                LoadConstant(o[0], (long)Value(o[1]));
                break;
            default:
                (string real, string[] operands) = Expand(mnemonic, o);
                Instruction(real, operands);
                break;
        }
    }

    private static (string Mnemonic, string[] Operands) Expand(string mnemonic, string[] o) => mnemonic switch
    {
        "nop" => ("addi", ["zero", "zero", "0"]),
        "mv" => ("addi", [o[0], o[1], "0"]),
        "j" => ("jal", ["zero", o[0]]),
        "call" => ("jal", ["ra", o[0]]),
        "jr" => ("jalr", ["zero", $"0({o[0]})"]),
        "ret" => ("jalr", ["zero", "0(ra)"]),
        "beqz" => ("beq", [o[0], "zero", o[1]]),
        "bnez" => ("bne", [o[0], "zero", o[1]]),
        "csrr" => ("csrrs", [o[0], o[1], "zero"]),
        "csrw" => ("csrrw", ["zero", o[0], o[1]]),
        "csrs" => ("csrrs", ["zero", o[0], o[1]]),
        "csrc" => ("csrrc", ["zero", o[0], o[1]]),
        "csrwi" => ("csrrwi", ["zero", o[0], o[1]]),
        "csrsi" => ("csrrsi", ["zero", o[0], o[1]]),
        "csrci" => ("csrrci", ["zero", o[0], o[1]]),
        "sfence.vma" when o.Length == 0 => ("sfence.vma", ["zero", "zero"]),
        _ => (mnemonic, o),
    };

    private void LoadConstant(string register, long value)
    {
        string Text(long v) => v.ToString(CultureInfo.InvariantCulture);
        if (value is >= -2048 and < 2048)
        {
            Instruction("addi", register, "zero", Text(value));
            return;
        }

        long low = value << 52 >> 52;
        if (value == (int)value)
        {
            Instruction("lui", register, Text((value - low) >> 12 & 0xfffff));
            Instruction("addiw", register, register, Text(low));
            return;
        }

        LoadConstant(register, (value - low) >> 12);
        Instruction("slli", register, register, "12");
        Instruction("addi", register, register, Text(low));
    }

    private void Instruction(string mnemonic, params string[] o)
    {
        uint ordering = 0;
        foreach ((string suffix, uint bits) in (ReadOnlySpan<(string, uint)>)[(".aqrl", 3), (".aq", 2), (".rl", 1)])
        {
            if (ordering == 0 && mnemonic.EndsWith(suffix, StringComparison.Ordinal))
                (mnemonic, ordering) = (mnemonic[..^suffix.Length], bits);
        }

        Encoding row = Rows[mnemonic];
        Add(row.Match | ordering << 25 | OperandEncoder.Encode(row, o, text => (long)Value(text), text => Csrs.TryGetValue(text, out int n) ? n : (int)Value(text), _final ? Here : null));
    }

    /// <summary>Numbers and labels, added and subtracted.</summary>
    private ulong Value(string text)
    {
        int sign = text.LastIndexOfAny(['+', '-']);
        if (sign > 0)
            return text[sign] == '+' ? Value(text[..sign].Trim()) + Value(text[(sign + 1)..].Trim()) : Value(text[..sign].Trim()) - Value(text[(sign + 1)..].Trim());
        if (sign == 0)
            return 0 - Value(text[1..]);
        if (text.StartsWith("0x", StringComparison.Ordinal))
            return ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        if (char.IsAsciiDigit(text[0]))
            return ulong.Parse(text, CultureInfo.InvariantCulture);
        return _symbols.TryGetValue(text, out ulong value) || !_final ? value : throw new KeyNotFoundException($"no label {text}");
    }

    private void Add<T>(T value) where T : unmanaged => _bytes.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
}
