namespace VirtKit.RiscV;

/// <summary>Instructions that an <see cref="InstructionSet"/> gets together: when the first word with one of their major opcodes is decoded. The runtime compiles something for
/// every instruction that is added, and most guests do without some extension.</summary>
internal readonly unsafe struct InstructionGroup
{
    private readonly delegate*<InstructionSet, void> _add;
    private readonly uint _opcodes;

    /// <param name="extension">The extension that the instructions belong to, as the specification writes it.</param>
    /// <param name="add">Adds the instructions.</param>
    /// <param name="opcodes">All of their major opcodes (RV-Unpriv §34, table 70), with the two ones at the end.</param>
    public InstructionGroup(string extension, delegate*<InstructionSet, void> add, params ReadOnlySpan<byte> opcodes)
    {
        Extension = extension;
        _add = add;
        foreach (byte opcode in opcodes)
            _opcodes |= 1U << (opcode >> 2);
    }

    /// <summary>The extension's name.</summary>
    public string Extension { get; }

    /// <summary>Whether there are any: an extension may be nothing but a name.</summary>
    public bool HasAny => _opcodes != 0;

    /// <summary>Whether it has instructions with the major opcode of a word.</summary>
    public bool Has(uint word) => (_opcodes >> (int)(word >> 2 & 31) & 1) != 0;

    public void AddTo(InstructionSet set)
    {
        if (HasAny)
            _add(set);
    }
}
