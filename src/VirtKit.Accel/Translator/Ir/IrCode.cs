using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>What an <see cref="IrOp"/> does. Values come first; from <see cref="Load"/> on, ops have effects and keep their order.</summary>
internal enum IrCode : byte
{
    /// <summary>Removed by a pass.</summary>
    None,

    /// <summary><see cref="IrOp.Imm"/>.</summary>
    Constant,

    /// <summary>The register in slot <see cref="IrOp.Detail"/> as it is when the value is used.</summary>
    ReadInteger,
    ReadFloat,
    Add,
    Sub,
    And,
    Or,
    Xor,
    Not,
    ShiftLeft,
    ShiftRightLogical,
    ShiftRightArithmetic,
    RotateRight,
    RotateRight32,
    Mul,

    /// <summary><see cref="IrOp.Detail"/> is the <see cref="Signedness"/>.</summary>
    MulHigh,

    /// <summary><see cref="IrOp.Detail"/> the <see cref="Signedness"/>, <see cref="IrOp.Detail2"/> the <see cref="DivisionPart"/>, <see cref="IrOp.Imm"/> the width.</summary>
    Divide,

    /// <summary>From <see cref="IrOp.Detail"/> bits.</summary>
    SignExtend,
    ZeroExtend,

    /// <summary><see cref="IrOp.Detail"/> is the <see cref="Comparison"/>.</summary>
    Compare,
    Select,

    /// <summary><see cref="IrOp.Detail"/> is the <see cref="BitCount"/>, <see cref="IrOp.Detail2"/> the width.</summary>
    Count,
    ReverseBytes,
    OrCombine,

    /// <summary>A value with an effect: <see cref="IrOp.Detail"/> is the <see cref="MemoryWidth"/>, A the address.</summary>
    Load,

    /// <summary><see cref="IrOp.Detail"/> the operation, <see cref="IrOp.Detail2"/> the width; A the address, B the operand.</summary>
    Atomic,

    /// <summary><see cref="IrOp.Detail"/> the operation, <see cref="IrOp.Detail2"/> the format, <see cref="IrOp.Imm"/> the rounding mode.</summary>
    Float,
    Store,
    UseFloat,
    Fence,

    /// <summary>The register in slot <see cref="IrOp.Detail"/> becomes A.</summary>
    WriteInteger,
    WriteFloat,

    /// <summary>Ends the block at <see cref="IrOp.Imm"/> where the comparison of A and B holds, otherwise behind it.</summary>
    Branch,

    /// <summary>Ends the block at <see cref="IrOp.Imm"/>.</summary>
    Jump,

    /// <summary>Fixes A as the address at which the block ends, before the instruction's registers change.</summary>
    Target,

    /// <summary>The whole instruction by the shared function; <see cref="IrOp.Detail"/> is a <see cref="BlockEnd"/>.</summary>
    Fallback,
}

/// <summary>What follows an instruction that is run by the shared function.</summary>
internal enum BlockEnd : byte
{
    /// <summary>The next instruction of the block.</summary>
    None,

    /// <summary>The dispatcher.</summary>
    Always,

    /// <summary>The next block, unless somebody asks for attention or what code is where has changed: CSR instructions.</summary>
    Maybe,
}
