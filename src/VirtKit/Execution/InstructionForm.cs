namespace VirtKit.Execution;

/// <summary>What an instruction does to the flow of control: which template an engine builds its handler from.</summary>
internal enum InstructionForm : byte
{
    /// <summary>Goes on to the next instruction, or traps.</summary>
    Plain,

    /// <summary>As plain, but it reads its own address.</summary>
    PcRelative,

    /// <summary>As plain, but with a meaning that a compiler does not inline whole: an engine calls it from its handler.</summary>
    Complex,

    /// <summary>A conditional branch.</summary>
    Branch,

    /// <summary>A jump to a fixed offset.</summary>
    Jump,

    /// <summary>A jump to a computed address.</summary>
    JumpRegister,

    /// <summary>May change privilege, translation, interrupts or code: an engine ends its block here and serves Attention.</summary>
    System,
}
