using System.Buffers.Binary;
using System.Collections.Concurrent;
using VirtKit.Execution;
using VirtKit.Interpreter;
using VirtKit.RiscV.Extensions;

namespace VirtKit.RiscV;

/// <summary>The instructions that a machine's harts have, as rows with types, and the decoder over them. Shared by all harts of a process; any thread.</summary>
internal sealed unsafe class InstructionSet : GuestInstructions, IHandlerPairs
{
    private const int RowLimit = 256;

    /// <summary>The sets that were asked for, by the ISA string. A process has few: they stay.</summary>
    private static readonly ConcurrentDictionary<string, InstructionSet> Known = new(StringComparer.Ordinal);

    private readonly InstructionGroup[] _groups;
    private readonly Row[] _rows = new Row[RowLimit];

    /// <summary>The rows for each key of a word; <see langword="null"/> until all groups with its major opcode have been added.</summary>
    private readonly Row[]?[] _byKey = new Row[]?[256];
    private readonly Lock _adding = new();
    private ulong _added;
    private int _adds;
    private string _section = "";
    private int _count;

    /// <summary>Builds the set that an ISA string names.</summary>
    /// <exception cref="ArgumentException">The string is malformed, lacks the base, or names an extension that is not implemented.</exception>
    public InstructionSet(string isa)
    {
        ArgumentNullException.ThrowIfNull(isa);
        string[] parts = isa.Split('_');
        const string Base = "rv64imafdc";
        if (parts[0] != Base)
            throw new ArgumentException($"ISA \"{isa}\": has to begin with {Base}.", nameof(isa));
        InstructionGroup[] groups = 
        [
            I.Group, I64.Group, M.Group, A.Group, FD.Single, FD.Double, Zicsr.Group, Zifencei.Group, Privileged.Machine, Privileged.Supervisor,
        ];
        int count = groups.Length;
        Array.Resize(ref groups, count + parts.Length - 1);
        foreach (string name in parts.AsSpan(1))
        {
            if (!TryGetExtension(name, out InstructionGroup group))
                throw new ArgumentException($"ISA \"{isa}\": {name} is not implemented.", nameof(isa));
            if (!Extensions.Add(name))
                throw new ArgumentException($"ISA \"{isa}\": {name} stands twice.", nameof(isa));
            groups[count++] = group;
        }

        _groups = groups;
    }

    /// <summary>The set that an ISA string names, shared by all machines of the process. Any thread.</summary>
    /// <exception cref="ArgumentException">As the constructor.</exception>
    public static InstructionSet Of(string isa) => Known.TryGetValue(isa, out InstructionSet? set) ? set : Known.GetOrAdd(isa, new InstructionSet(isa));

    public override int MaxRows => RowLimit;

    /// <summary>Without those that the base encoding keeps free for longer ones (RV-Unpriv §1.5).</summary>
    public override int MaxLength => 4;

    public override int Alignment => 2;

    public override IReadOnlyList<GuestRegister> Registers => RiscVRegisters.All;

    public override int RegistersSize => sizeof(RiscVState);

    public override string Disassemble(ReadOnlySpan<byte> code, Gva address)
    {
        Span<byte> word = stackalloc byte[4];
        word.Clear();
        code.CopyTo(word);
        return new RiscVDisassembler(this).Disassemble(BinaryPrimitives.ReadUInt32LittleEndian(word), address, out _);
    }

    /// <summary>The names of the extensions after the base.</summary>
    public HashSet<string> Extensions { get; } = [];

    /// <summary>All instructions, in the order of their extensions where nothing has been decoded before.</summary>
    public IReadOnlyList<Row> Rows
    {
        get
        {
            for (int group = 0; group < _groups.Length; group++)
                Add(group);
            return new ArraySegment<Row>(_rows, 0, _count);
        }
    }

    /// <summary>The row with an index, of those that were decoded.</summary>
    public Row RowAt(int index) => Volatile.Read(ref _rows[index]);

    public override nint Choose(int row, IInstructionFunctions functions) => RowAt(row).Choose(functions);

    public override bool TryDecode(ReadOnlySpan<byte> code, out DecodedInstruction instruction)
    {
        instruction = new DecodedInstruction { Row = -1, Form = InstructionForm.System, Traits = InstructionTraits.Unrepeatable };
        if (code.Length < 2)
            return false;
        uint word = BinaryPrimitives.ReadUInt16LittleEndian(code);
        if ((word & 3) != 3)
        {
            instruction.Length = 2;
            word = C.Expand((ushort)word);
        }
        else if (code.Length >= 4)
        {
            instruction.Length = 4;
            word = BinaryPrimitives.ReadUInt32LittleEndian(code);
        }
        else
        {
            return false;
        }

        if (Decode(word) is not { } row)
            return true;
        instruction.Row = (short)row.Index;
        instruction.Form = row.Encoding.Form;
        instruction.Operands = row.Encoding.DecodeSlots(word);
        instruction.Traits = row.Encoding.TraitsOf(instruction.Operands);
        return true;
    }

    FirstOfPair[] IHandlerPairs.FirstsOfPairs<TDispatch>() => RiscVPairs<TDispatch>.Firsts();

    /// <summary>Called by a group before the instructions of a section.</summary>
    /// <param name="section">Of the specification: <c>RV-Unpriv</c> is the edition 20240411, <c>RV-Priv</c> 20250508.</param>
    public void Section(string section) => _section = section;

    /// <summary>Called by a group for each of its instructions. Not generic, for the runtime would compile it anew for each of them.</summary>
    /// <param name="encoding">The instruction's.</param>
    /// <param name="choose">Its <see cref="Choose"/>.</param>
    /// <exception cref="InvalidOperationException">The group does not name the instruction's major opcode, or there are too many.</exception>
    public void Add(in Encoding encoding, delegate*<IInstructionFunctions, InstructionForm, nint> choose)
    {
        if (!_groups[_adds].Has(encoding.Match) || _count == RowLimit)
            throw new InvalidOperationException($"{encoding.Mnemonic} is outside of its group's opcodes, or one too many.");
        Volatile.Write(ref _rows[_count], new Row(_count, encoding, _groups[_adds].Extension, _section, choose));
        _count++;
    }

    /// <summary>A family's function for an instruction.</summary>
    public static nint Choose<T>(IInstructionFunctions functions, InstructionForm form) where T : struct, IInstruction => functions.Of<T>(form);

    /// <summary>Finds the row of a 32-bit instruction word.</summary>
    /// <returns>The row, or <see langword="null"/> where the word is illegal.</returns>
    public Row? Decode(uint word)
    {
        if ((word & 3) != 3)
            return null;
        foreach (Row row in Volatile.Read(ref _byKey[Key(word)]) ?? FindRows(word))
        {
            if ((word & row.Mask) == row.Match)
                return row;
        }

        return null;
    }

    /// <summary>An extension that can be left out or put in, and its instructions, if it has any of its own.</summary>
    private static bool TryGetExtension(string name, out InstructionGroup group)
    {
        group = name switch
        {
            "zba" => Zba.Group,
            "zbb" => Zbb.Group,
            "zbs" => Zbs.Group,
            "zicond" => Zicond.Group,
            "zicbom" => Zicbo.Management,
            "zicboz" => Zicbo.Zero,
            "svinval" => Svinval.Group,
            _ => default,
        };
        return group.HasAny || name is "zicntr" or "zicsr" or "zifencei" or "zihintpause" or "sstc" or "svnapot";
    }

    /// <summary>Adds what has the major opcode of a word, and lists the rows of its key.</summary>
    private Row[] FindRows(uint word)
    {
        for (int group = 0; group < _groups.Length; group++)
        {
            if (_groups[group].Has(word))
                Add(group);
        }

        int key = Key(word), count = 0;
        var rows = new Row[RowLimit];
        foreach (Row row in _rows)
        {
            if (row is not null && Shares(row.Encoding, key))
                rows[count++] = row;
        }

        rows = rows[..count];
        Volatile.Write(ref _byKey[key], rows);
        return rows;
    }

    private void Add(int group)
    {
        lock (_adding)
        {
            if ((_added >> group & 1) != 0)
                return;
            _adds = group;
            _section = "";
            _groups[group].AddTo(this);
            _added |= 1UL << group;
        }
    }

    private static int Key(uint word) => (int)(word >> 2 & 31 | word >> 7 & 0xe0);

    private static bool Shares(in Encoding encoding, int key)
    {
        uint word = (uint)(key & 31) << 2 | 3 | (uint)(key >> 5) << 12;
        uint mask = encoding.Mask & 0x707f;
        return (word & mask) == (encoding.Match & mask);
    }

    /// <summary>One instruction of the set.</summary>
    internal sealed class Row(int index, in Encoding encoding, string extension, string section, delegate*<IInstructionFunctions, InstructionForm, nint> choose)
    {
        public readonly uint Mask = encoding.Mask;
        public readonly uint Match = encoding.Match;

        private readonly delegate*<IInstructionFunctions, InstructionForm, nint> _choose = choose;

        public int Index => index;

        public Encoding Encoding { get; } = encoding;

        /// <summary>The name of the extension that has the instruction.</summary>
        public string Extension => extension;

        /// <summary>The section of the specification that defines it.</summary>
        public string Section => section;

        /// <returns>The function of this instruction.</returns>
        public nint Choose(IInstructionFunctions functions) => _choose(functions, Encoding.Form);
    }
}
