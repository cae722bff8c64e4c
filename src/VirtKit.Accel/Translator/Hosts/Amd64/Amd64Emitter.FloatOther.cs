using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Floating-point instructions that do not round like a sum: signs, comparisons, conversions, minimum and maximum.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void EmitMinimum(in IrOp op, bool isDouble, Xmm x, byte opcode, byte logic)
    {
        Xmm y = Vector(op.B, Spare);
        _asm.Compare(isDouble, x, y);
        Cold(_asm.JumpIf(Condition.Parity), ColdKind.Slow, op.Instruction);
        byte* equal = _asm.JumpShort(Condition.Equal);
        _asm.Scalar(opcode, isDouble, Work, x, y);
        byte* done = _asm.JumpShort();
        _asm.BindShort(equal);
        // Zeros of both signs are equal.
        _asm.Logic(logic, Work, x, y);
        _asm.BindShort(done);
    }

    /// <returns>Where the result is.</returns>
    private Xmm EmitSign(in IrOp op, bool isDouble, Xmm x)
    {
        var operation = (FloatOperation)op.Detail;
        Mem sign = GuestRegisters.Field(isDouble ? ContextLayout.SignOfDouble : ContextLayout.SignOfSingle);
        bool same = _block.Ops[op.A].Detail == _block.Ops[op.B].Detail;
        if (same && operation == FloatOperation.SignCopy)
            return x;

        if (same && operation == FloatOperation.SignNegate)
        {
            _asm.Logic(LogicXor, Work, x, sign);
            return Work;
        }

        if (operation == FloatOperation.SignXor)
        {
            _asm.Logic(LogicAnd, Spare, Vector(op.B, Spare), sign);
            _asm.Logic(LogicXor, Work, x, Spare);
            return Work;
        }

        if (operation == FloatOperation.SignNegate)
            _asm.Logic(LogicXor, Spare, Vector(op.B, Spare), sign);
        _asm.Logic(LogicAnd, Spare, operation == FloatOperation.SignNegate ? Spare : Vector(op.B, Spare), sign);
        // x without its sign: both ways round, for there is no and-not with the mask in memory.
        _asm.Logic(LogicXor, Spare, Spare, x);
        _asm.Logic(LogicAnd, Spare, Spare, sign);
        _asm.Logic(LogicXor, Work, x, Spare);
        return Work;
    }

    private void EmitFloatCompare(int index, in IrOp op, bool isDouble, Xmm x)
    {
        _asm.Compare(isDouble, x, Vector(op.B, Spare));
        Cold(_asm.JumpIf(Condition.Parity), ColdKind.Slow, op.Instruction);
        Gp to = LoadDestination(index);
        _asm.Set((FloatOperation)op.Detail switch
        {
            FloatOperation.Equal => Condition.Equal,
            FloatOperation.Less => Condition.Below,
            _ => Condition.BelowOrEqual,
        }, Gp.Rax);
        _asm.MoveZero8(to, Gp.Rax);
        Locate(index, to);
    }

    private void EmitToInteger(int index, in IrOp op, bool isDouble, Xmm x)
    {
        Size size = (FloatOperation)op.Detail == FloatOperation.ToInt32 ? Size.Bits32 : Size.Bits64;
        _asm.Truncate(isDouble, Gp.Rax, x, size);
        // The host answers the least integer for what does not fit, from which 1 cannot be subtracted.
        _asm.Alu(Alu.Cmp, Gp.Rax, 1, size);
        Cold(_asm.JumpIf(Condition.Overflow), ColdKind.Slow, op.Instruction);
        Gp to = LoadDestination(index);
        if (size == Size.Bits32)
            _asm.MoveSign32(to, Gp.Rax);
        else if (to != Gp.Rax)
            _asm.Move(to, Gp.Rax);
        Locate(index, to);
    }

    private void EmitFromInteger(FloatOperation operation, bool isDouble, in IrOp op)
    {
        int free = Free;
        Gp source = Use(op.A, ref free);
        if (operation == FloatOperation.FromUInt32)
        {
            _asm.Move(Gp.Rax, source, Size.Bits32);
            source = Gp.Rax;
        }

        EmitAbove(op);
        _asm.FromInteger(isDouble, Work, Work, source, operation == FloatOperation.FromInt32 ? Size.Bits32 : Size.Bits64);
    }

    /// <summary>What stands above a result that is made in <see cref="Work"/>.</summary>
    private void EmitAbove(in IrOp op) => _asm.Logic(op.Detail2 == (byte)FloatFormat.BoxedSingle ? AllOnes : LogicXor, Work, Work, Work);

    private void EmitConvert(in IrOp op, bool toDouble)
    {
        if (toDouble)
        {
            if ((FloatOperation)op.Detail == FloatOperation.ConvertBoxed)
                CheckBoxed(op.A, op.Instruction);
            Xmm single = Vector(op.A, Spare);
            _asm.ConvertScalar(toDouble: true, Work, single, single);
            CheckFinite(Work, isDouble: true, op);
            return;
        }

        Xmm source = Vector(op.A, Spare);
        EmitAbove(op);
        _asm.ConvertScalar(toDouble: false, Work, Work, source);
        CheckNormal(Work, isDouble: false, op, 0);
    }
}
