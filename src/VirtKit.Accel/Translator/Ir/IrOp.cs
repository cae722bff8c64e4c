using System.Runtime.InteropServices;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>One op of a block; its position names its value. Operands are positions, or -1.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IrOp
{
    public IrCode Code;
    public byte Detail;
    public byte Detail2;

    /// <summary>The value is a signed number of so many bits, 64 when nothing is known.</summary>
    public byte SignedBits;

    /// <summary>The value is an unsigned number of so many bits, 64 when nothing is known.</summary>
    public byte UnsignedBits;

    /// <summary>How many ops that remain use the value, as counted by <see cref="DeadWrites"/>.</summary>
    public byte Uses;

    public short A;
    public short B;
    public short C;

    /// <summary>The instruction that the op belongs to.</summary>
    public short Instruction;

    /// <summary>For an access that belongs to one of the block's groups, that group's number counted from 1.</summary>
    public byte Group;
    public ulong Imm;

    public readonly bool IsConstant => Code == IrCode.Constant;
}
