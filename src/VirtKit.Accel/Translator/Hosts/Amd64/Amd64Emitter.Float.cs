using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Floating point by the host's arithmetic, where the result shows that nothing but rounding happened: a normal number, no NaN. Everything else
/// is the shared function's.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private const Xmm Work = Xmm.V14, Spare = Xmm.V15;
    private const byte OpAdd = 0x58, OpMultiply = 0x59, OpSubtract = 0x5c, OpMinimum = 0x5d, OpDivide = 0x5e, OpMaximum = 0x5f, OpSquareRoot = 0x51;
    private const byte LogicAnd = 0x54, LogicOr = 0x56, LogicXor = 0x57, AllOnes = 0x76;

    private readonly Xmm[] _vectors;

    /// <summary>Whether the block has tested that the dynamic rounding mode is the host's.</summary>
    private bool _rounds;

    /// <summary>The registers that are known to hold a boxed single.</summary>
    private ulong _boxed;

    private static bool SupportsFloat(in IrOp op) => (FloatOperation)op.Detail switch
    {
        FloatOperation.Classify or FloatOperation.FromUInt64 => false,
        // The host raises its inexact flag for a fraction even where the guest's unsigned integer cannot be: these are left to the shared function.
        FloatOperation.ToUInt32 or FloatOperation.ToUInt64 => false,
        FloatOperation.ToInt32 or FloatOperation.ToInt64 => ModeOf(op) == RoundingMode.TowardsZero,
        _ => ModeOf(op) is RoundingMode.NearestEven or RoundingMode.Dynamic || (!Rounds(op) && ModeOf(op) <= RoundingMode.NearestMaxMagnitude),
    };

    /// <summary>Whether the operation's result depends on the rounding mode.</summary>
    private static bool Rounds(in IrOp op) => (FloatOperation)op.Detail switch
    {
        FloatOperation.Minimum or FloatOperation.Maximum or FloatOperation.SignCopy or FloatOperation.SignNegate or FloatOperation.SignXor
            or FloatOperation.Equal or FloatOperation.Less or FloatOperation.LessOrEqual => false,
        // Every such integer is a double, and so is every single; a dynamic mode may still be a reserved one.
        FloatOperation.FromInt32 or FloatOperation.FromUInt32 or FloatOperation.Convert or FloatOperation.ConvertBoxed => op.Detail2 != (byte)FloatFormat.Double || ModeOf(op) == RoundingMode.Dynamic,
        _ => true,
    };

    private static RoundingMode ModeOf(in IrOp op) => (RoundingMode)op.Imm;

    private void EmitFloat(int index, in IrOp op)
    {
        var operation = (FloatOperation)op.Detail;
        bool isDouble = op.Detail2 == (byte)FloatFormat.Double;
        if (Rounds(op))
            EmitRoundingCheck(op);
        switch (operation)
        {
            case FloatOperation.FromInt32 or FloatOperation.FromUInt32 or FloatOperation.FromInt64:
                EmitFromInteger(operation, isDouble, op);
                FinishFloat(index, op, Work);
                return;
            case FloatOperation.Convert or FloatOperation.ConvertBoxed:
                EmitConvert(op, isDouble);
                FinishFloat(index, op, Work);
                return;
        }

        CheckBoxed(op);
        Xmm x = Vector(op.A, Work);
        switch (operation)
        {
            case FloatOperation.ToInt32 or FloatOperation.ToInt64:
                EmitToInteger(index, op, isDouble, x);
                return;
            case FloatOperation.Equal or FloatOperation.Less or FloatOperation.LessOrEqual:
                EmitFloatCompare(index, op, isDouble, x);
                return;
            case FloatOperation.SignCopy or FloatOperation.SignNegate or FloatOperation.SignXor:
                FinishFloat(index, op, EmitSign(op, isDouble, x));
                return;
            case FloatOperation.Minimum or FloatOperation.Maximum:
                EmitMinimum(op, isDouble, x, operation == FloatOperation.Minimum ? OpMinimum : OpMaximum, operation == FloatOperation.Minimum ? LogicOr : LogicAnd);
                FinishFloat(index, op, Work);
                return;
        }

        Xmm to = ResultRegister(index, op);
        switch (operation)
        {
            case FloatOperation.Add or FloatOperation.Subtract:
                _asm.Scalar(operation == FloatOperation.Add ? OpAdd : OpSubtract, isDouble, to, x, Vector(op.B, Spare));
                CheckFinite(to, isDouble, op);
                break;
            case FloatOperation.SquareRoot:
                _asm.Scalar(OpSquareRoot, isDouble, to, x, x);
                CheckFinite(to, isDouble, op);
                break;
            case FloatOperation.Multiply or FloatOperation.Divide:
                _asm.Scalar(operation == FloatOperation.Multiply ? OpMultiply : OpDivide, isDouble, to, x, Vector(op.B, Spare));
                CheckNormal(to, isDouble, op, operation == FloatOperation.Multiply ? 2 : 1);
                break;
            default:
                EmitFused(operation, isDouble, op, x, to);
                CheckNormal(to, isDouble, op, 0);
                break;
        }

        FinishFloat(index, op, to);
    }

    /// <summary>An instruction that finds another dynamic rounding mode is left to the shared function, and ends the block: what follows relies on the check. The
    /// inexact flag needs no test, for the host's own stands for it.</summary>
    private void EmitRoundingCheck(in IrOp op)
    {
        if (ModeOf(op) != RoundingMode.Dynamic || _rounds)
            return;
        _rounds = true;
        _asm.Test(GuestRegisters.Field(_homes.Guest.FloatStatus), (int)_homes.Guest.RoundingControl);
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.SlowEnds, op.Instruction);
    }

    private void CheckBoxed(in IrOp op)
    {
        if (op.Detail2 != (byte)FloatFormat.BoxedSingle)
            return;
        CheckBoxed(op.A, op.Instruction);
        CheckBoxed(op.B, op.Instruction);
        CheckBoxed(op.C, op.Instruction);
    }

    private void CheckBoxed(short value, int instruction)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        if (op.Code != IrCode.ReadFloat || (_boxed >> op.Detail & 1) != 0)
            return;
        Xmm home = _homes.VectorOf(op.Detail);
        if (home == Xmm.None)
        {
            Mem slot = GuestRegisters.Slot(op.Detail);
            _asm.Alu(Alu.Cmp, slot with { Displacement = slot.Displacement + 4 }, -1, Size.Bits32);
        }
        else
        {
            _asm.Extract32(Gp.Rax, home, 1);
            _asm.Alu(Alu.Cmp, Gp.Rax, -1, Size.Bits32);
        }

        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.SlowEnds, instruction);
        _boxed |= 1UL << op.Detail;
    }

    private void EmitFused(FloatOperation operation, bool isDouble, in IrOp op, Xmm x, Xmm to)
    {
        // to = ±(x * y) ± z; of the forms with three registers, 231 adds to the first one.
        Xmm y = Vector(op.B, Spare);
        Xmm z = _homes.VectorOf(_block.Ops[op.C].Detail);
        byte add231 = operation switch
        {
            FloatOperation.MultiplyAdd => 0xb9,
            FloatOperation.MultiplySubtract => 0xbb,
            FloatOperation.NegatedMultiplySubtract => 0xbd,
            _ => 0xbf,
        };
        if (x == Work)
        {
            // 213: first = second * first + third; z needs a register of its own, and y may be in the spare one.
            byte add213 = (byte)(add231 - 0x10);
            if (z == Xmm.None)
            {
                if (y == Spare)
                {
                    _asm.FmaMemory(add213, isDouble, Work, y, GuestRegisters.Slot(_block.Ops[op.C].Detail));
                    Copy(to, Work);
                    return;
                }

                _asm.LoadDouble(Spare, GuestRegisters.Slot(_block.Ops[op.C].Detail));
                z = Spare;
            }

            _asm.Fma(add213, isDouble, Work, y, z);
            Copy(to, Work);
            return;
        }

        if (z == Xmm.None)
            _asm.LoadDouble(Work, GuestRegisters.Slot(_block.Ops[op.C].Detail));
        else
            Copy(Work, z);
        _asm.Fma(add231, isDouble, Work, x, y);
        Copy(to, Work);
    }

    /// <summary>Leaves the exponent field in ecx and the bits in rax.</summary>
    private void EmitExponent(Xmm value, bool isDouble)
    {
        Size size = isDouble ? Size.Bits64 : Size.Bits32;
        _asm.Mov(Gp.Rax, value, size);
        _asm.Rorx(Gp.Rcx, Gp.Rax, isDouble ? 52 : 23, size);
        _asm.Alu(Alu.And, Gp.Rcx, MaxExponent(isDouble), Size.Bits32);
    }

    private static int MaxExponent(bool isDouble) => isDouble ? 0x7ff : 0xff;

    /// <summary>Sums and roots cannot underflow: a subnormal one is exact.</summary>
    private void CheckFinite(Xmm value, bool isDouble, in IrOp op)
    {
        EmitExponent(value, isDouble);
        _asm.Alu(Alu.Cmp, Gp.Rcx, MaxExponent(isDouble), Size.Bits32);
        Cold(_asm.JumpIf(Condition.Equal), ColdKind.Slow, op.Instruction);
    }

    /// <summary>An exponent of 1 may have been reached by rounding up from below, which is an underflow. A zero is one too, unless one of the first operands is zero.</summary>
    /// <param name="zeroOperands">How many of the operands make a zero exact.</param>
    private void CheckNormal(Xmm value, bool isDouble, in IrOp op, int zeroOperands)
    {
        EmitExponent(value, isDouble);
        _asm.Alu(Alu.Sub, Gp.Rcx, 2, Size.Bits32);
        _asm.Alu(Alu.Cmp, Gp.Rcx, MaxExponent(isDouble) - 2, Size.Bits32);
        if (zeroOperands == 0)
        {
            Cold(_asm.JumpIf(Condition.AboveOrEqual), ColdKind.Slow, op.Instruction);
            return;
        }

        byte* normal = _asm.JumpShort(Condition.Below);
        Size size = isDouble ? Size.Bits64 : Size.Bits32;
        _asm.Alu(Alu.Add, Gp.Rax, Gp.Rax, size);
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Slow, op.Instruction);
        byte* exact = null;
        for (int i = 0; i < zeroOperands; i++)
        {
            Into(i == 0 ? op.A : op.B, Gp.Rax, 0);
            _asm.Alu(Alu.Add, Gp.Rax, Gp.Rax, size);
            if (i + 1 < zeroOperands)
                exact = _asm.JumpShort(Condition.Equal);
            else
                Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Slow, op.Instruction);
        }

        if (exact != null)
            _asm.BindShort(exact);
        _asm.BindShort(normal);
    }
}
