using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>The symbol table of an ELF file with its strings (gABI 4.1, chapter 4, "Symbol Table"). Immutable and thread-safe.</summary>
internal sealed class ElfSymbolTable(ReadOnlyMemory<byte> symbols, ReadOnlyMemory<byte> strings)
{
    public const int SymbolSize = 24;

    private const int Undefined = 0, Absolute = 0xfff1, NoType = 0, Object = 1, Function = 2, Local = 0;
    private const int LongestName = 4096;

    /// <summary>What names addresses, by value; made on first use. Two threads may both make it, and make the same.</summary>
    private Entry[]? _byAddress;

    public static ElfSymbolTable Empty { get; } = new(default, default);

    public bool TryFind(string name, out Gva value)
    {
        ReadOnlySpan<byte> table = symbols.Span, wanted = Encoding.UTF8.GetBytes(name);
        for (int at = 0; at <= table.Length - SymbolSize; at += SymbolSize)
        {
            ReadOnlySpan<byte> text = NameAt(table[at..]);
            if (Section(table[at..]) != Undefined && text.Length > wanted.Length && text[wanted.Length] == 0 && text.StartsWith(wanted))
            {
                value = new Gva(Value(table[at..]));
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>The symbol that covers an address, of those that do not begin before <paramref name="lowest"/>.</summary>
    public bool TryFind(Gva address, Gva lowest, out ElfSymbol symbol)
    {
        Entry[] entries = _byAddress ??= Sort();
        int low = 0, high = entries.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (entries[middle].Value <= address.Value)
                low = middle + 1;
            else
                high = middle;
        }

        symbol = default;
        if (low == 0 || entries[low - 1].Value < lowest.Value)
            return false;
        Entry entry = entries[low - 1];
        ulong offset = address.Value - entry.Value;
        if (entry.Size != 0 && offset >= entry.Size)
            return false;
        symbol = new ElfSymbol(ReadName(NameAt(symbols.Span[entry.At..])), new Gva(entry.Value), offset);
        return true;
    }

    private Entry[] Sort()
    {
        ReadOnlySpan<byte> table = symbols.Span;
        var entries = new List<Entry>(table.Length / SymbolSize);
        for (int at = 0; at <= table.Length - SymbolSize; at += SymbolSize)
        {
            ReadOnlySpan<byte> symbol = table[at..];
            int type = symbol[4] & 15;
            if (Section(symbol) is Undefined or Absolute || type is not (NoType or Object or Function) || !NamesAnAddress(NameAt(symbol)))
                continue;
            // Of several at one address the last one answers: a function before a label, a global name before a local one.
            int rank = (type == Function ? 2 : 0) + (symbol[4] >> 4 == Local ? 0 : 1);
            entries.Add(new Entry(Value(symbol), BinaryPrimitives.ReadUInt64LittleEndian(symbol[16..]), at, rank));
        }

        entries.Sort((a, b) => (a.Value, a.Rank, b.At).CompareTo((b.Value, b.Rank, a.At)));
        return [.. entries];
    }

    /// <summary>Not the labels of an assembler: <c>$x</c> and <c>$d</c> tell code from data (RISC-V ELF psABI, "Mapping Symbols"), <c>.L</c> begins local ones.</summary>
    private static bool NamesAnAddress(ReadOnlySpan<byte> name) => !name.IsEmpty && name[0] != 0 && name[0] != '$' && !name.StartsWith(".L"u8);

    private static string ReadName(ReadOnlySpan<byte> text)
    {
        text = text[..Math.Min(text.Length, LongestName)];
        int end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }

    private ReadOnlySpan<byte> NameAt(ReadOnlySpan<byte> symbol)
    {
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(symbol);
        return offset < (uint)strings.Length ? strings.Span[(int)offset..] : default;
    }

    private static int Section(ReadOnlySpan<byte> symbol) => BinaryPrimitives.ReadUInt16LittleEndian(symbol[6..]);

    private static ulong Value(ReadOnlySpan<byte> symbol) => BinaryPrimitives.ReadUInt64LittleEndian(symbol[8..]);

    private readonly record struct Entry(ulong Value, ulong Size, int At, int Rank);
}
