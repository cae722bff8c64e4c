namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>The general registers by their encoding.</summary>
internal enum Gp : byte
{
    Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15,

    /// <summary>No register.</summary>
    None = 0xff,
}

/// <summary>The vector registers by their encoding.</summary>
internal enum Xmm : byte
{
    V0, V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15,
    None = 0xff,
}

internal enum Size : byte
{
    Bits32,
    Bits64,
}

/// <summary>The arithmetic group by its encoding.</summary>
internal enum Alu : byte
{
    Add, Or, Adc, Sbb, And, Sub, Xor, Cmp,
}

/// <summary>The shift group by its encoding.</summary>
internal enum Shift : byte
{
    Rol, Ror, Rcl, Rcr, Shl, Shr, Sal, Sar,
}

/// <summary>The one-operand group F7 by its encoding.</summary>
internal enum Unary : byte
{
    Not = 2, Neg, Mul, Imul, Div, Idiv,
}

/// <summary>Condition codes by their encoding; the lowest bit inverts.</summary>
internal enum Condition : byte
{
    Overflow, NotOverflow, Below, AboveOrEqual, Equal, NotEqual, BelowOrEqual, Above, Sign, NotSign, Parity, NotParity, Less, GreaterOrEqual, LessOrEqual, Greater,
}

/// <summary>A memory operand: base + index * 2^scale + displacement.</summary>
internal readonly record struct Mem(Gp Base, int Displacement, Gp Index = Gp.None, byte Scale = 0);
