using System.Collections.Frozen;
using VirtKit.RiscV.Extensions;

namespace VirtKit.RiscV;

/// <summary>The instructions that a machine's harts have, as rows with types, and the decoder over them. Immutable after construction; shared by all harts.</summary>
internal sealed class InstructionSet
{
    /// <summary>The name of each extension that can be left out or put in, and its instructions, if it has any of its own.</summary>
    private static readonly FrozenDictionary<string, Action<InstructionSet>?> Optional = new Dictionary<string, Action<InstructionSet>?>
    {
        ["zba"] = Zba.AddTo,
        ["zbb"] = Zbb.AddTo,
        ["zbs"] = Zbs.AddTo,
        ["zicond"] = Zicond.AddTo,
        ["zicbom"] = Zicbo.AddManagement,
        ["zicboz"] = Zicbo.AddZero,
        ["svinval"] = Privileged.AddInvalidation,
        ["zicntr"] = null,
        ["zicsr"] = null,
        ["zifencei"] = null,
        ["zihintpause"] = null,
        ["sstc"] = null,
        ["svnapot"] = null,
    }.ToFrozenDictionary();

    private readonly List<Row> _rows = [];
    private readonly Row[][] _byOpcode;

    /// <summary>Builds the set that an ISA string names.</summary>
    /// <exception cref="ArgumentException">The string is malformed, lacks the base, or names an extension that is not implemented.</exception>
    public InstructionSet(string isa)
    {
        ArgumentNullException.ThrowIfNull(isa);
        string[] parts = isa.Split('_');
        const string Base = "rv64imafdc";
        if (parts[0] != Base)
            throw new ArgumentException($"ISA \"{isa}\": has to begin with {Base}.", nameof(isa));
        I.AddTo(this);
        I64.AddTo(this);
        M.AddTo(this);
        A.AddTo(this);
        FD.AddTo(this);
        Zicsr.AddTo(this);
        Privileged.AddTo(this);
        foreach (string name in parts.Skip(1))
        {
            if (!Optional.TryGetValue(name, out Action<InstructionSet>? add))
                throw new ArgumentException($"ISA \"{isa}\": {name} is not implemented.", nameof(isa));
            if (!Extensions.Add(name))
                throw new ArgumentException($"ISA \"{isa}\": {name} stands twice.", nameof(isa));
            add?.Invoke(this);
        }

        _byOpcode = [.. Enumerable.Range(0, 256).Select(key => _rows.Where(r => Shares(r.Encoding, key)).ToArray())];
    }

    /// <summary>The names of the extensions after the base.</summary>
    public HashSet<string> Extensions { get; } = [];

    /// <summary>The rows in the order of their indices.</summary>
    public IReadOnlyList<Row> Rows => _rows;

    /// <summary>Called by an extension for each of its instructions.</summary>
    public void Add<T>() where T : struct, IInstruction => _rows.Add(new Row<T>(_rows.Count));

    /// <summary>Finds the row of a 32-bit instruction word.</summary>
    /// <returns>The row, or <see langword="null"/> where the word is illegal.</returns>
    public Row? Decode(uint word)
    {
        if ((word & 3) != 3)
            return null;
        foreach (Row row in _byOpcode[Key(word)])
        {
            if ((word & row.Mask) == row.Match)
                return row;
        }

        return null;
    }

    private static int Key(uint word) => (int)(word >> 2 & 31 | word >> 7 & 0xe0);

    private static bool Shares(in Encoding encoding, int key)
    {
        uint word = (uint)(key & 31) << 2 | 3 | (uint)(key >> 5) << 12;
        uint mask = encoding.Mask & 0x707f;
        return (word & mask) == (encoding.Match & mask);
    }

    /// <summary>One instruction of the set.</summary>
    internal abstract class Row(int index, in Encoding encoding)
    {
        public readonly uint Mask = encoding.Mask;
        public readonly uint Match = encoding.Match;

        public int Index => index;

        public Encoding Encoding { get; } = encoding;

        /// <returns>The function of this instruction.</returns>
        public abstract nint Choose(IInstructionFunctions functions);
    }

    private sealed class Row<T>(int index) : Row(index, T.Encoding) where T : struct, IInstruction
    {
        public override nint Choose(IInstructionFunctions functions) => functions.Of<T>();
    }
}
