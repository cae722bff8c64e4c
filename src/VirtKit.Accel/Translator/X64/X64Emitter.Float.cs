using VirtKit.Accel.Translator.Ir;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.X64;

/// <summary>Floating point by the host's arithmetic, where the result shows that nothing but rounding happened: a normal number, no NaN. Everything else
/// is the shared function's.</summary>
internal sealed unsafe partial class X64Emitter
{
    private const Xmm Work = Xmm.V14, Spare = Xmm.V15;
    private const byte OpAdd = 0x58, OpMultiply = 0x59, OpSubtract = 0x5c, OpMinimum = 0x5d, OpDivide = 0x5e, OpMaximum = 0x5f, OpSquareRoot = 0x51;
    private const byte LogicAnd = 0x54, LogicAndNot = 0x55, LogicOr = 0x56, LogicXor = 0x57, AllOnes = 0x76;

    /// <summary>The rm field of rounding towards zero.</summary>
    private const int TowardsZero = 1, Dynamic = 7;

    private readonly Xmm[] _vectors;

    /// <summary>Whether the block has looked that the dynamic rounding mode is the host's.</summary>
    private bool _rounds;

    /// <summary>The registers that are known to hold a boxed single.</summary>
    private uint _boxed;

    private static bool SupportsFloat(in IrOp op) => (FloatOperation)op.Detail switch
    {
        FloatOperation.Classify or FloatOperation.FromUInt64 => false,
        // The host raises its inexact flag for a fraction even where the guest's unsigned integer cannot be: these are left to the shared function.
        FloatOperation.ToUInt32 or FloatOperation.ToUInt64 => false,
        FloatOperation.ToInt32 or FloatOperation.ToInt64 => op.Imm == TowardsZero,
        _ => op.Imm is 0 or Dynamic || (!Rounds(op) && op.Imm < 5),
    };

    /// <summary>Whether the operation's result depends on the rounding mode.</summary>
    private static bool Rounds(in IrOp op) => (FloatOperation)op.Detail switch
    {
        FloatOperation.Minimum or FloatOperation.Maximum or FloatOperation.SignCopy or FloatOperation.SignNegate or FloatOperation.SignXor
            or FloatOperation.Equal or FloatOperation.Less or FloatOperation.LessOrEqual => false,
        FloatOperation.FromInt32 or FloatOperation.FromUInt32 => op.Detail2 == (byte)FloatFormat.Single || op.Imm == Dynamic,
        FloatOperation.Convert => op.Detail2 == (byte)FloatFormat.Single || op.Imm == Dynamic,
        _ => true,
    };

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
                Finish(index, Work);
                return;
            case FloatOperation.Convert:
                EmitConvert(op, isDouble);
                Finish(index, Work);
                return;
        }

        CheckBoxed(op, isDouble);
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
                Finish(index, EmitSign(op, isDouble, x));
                return;
            case FloatOperation.Minimum or FloatOperation.Maximum:
                EmitMinimum(op, isDouble, x, operation == FloatOperation.Minimum ? OpMinimum : OpMaximum, operation == FloatOperation.Minimum ? LogicOr : LogicAnd);
                Finish(index, Work);
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

        Finish(index, to);
    }

    /// <summary>An instruction that finds another dynamic rounding mode is left to the shared function, and ends the block: what follows relies on the check. The
    /// inexact flag needs no look, for the host's own stands for it.</summary>
    private void EmitRoundingCheck(in IrOp op)
    {
        if (op.Imm != Dynamic || _rounds)
            return;
        _rounds = true;
        _asm.Test(GuestRegisters.Field(ContextLayout.Fcsr), 0xe0);
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.SlowEnds, op.Instruction);
    }

    private void CheckBoxed(in IrOp op, bool isDouble)
    {
        if (isDouble)
            return;
        CheckBoxed(op.A, op.Instruction);
        CheckBoxed(op.B, op.Instruction);
        CheckBoxed(op.C, op.Instruction);
    }

    private void CheckBoxed(short value, int instruction)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        if (op.Code != IrCode.ReadF || (_boxed >> op.Detail & 1) != 0)
            return;
        Xmm home = GuestRegisters.VectorOf(op.Detail);
        if (home == Xmm.None)
        {
            Mem slot = GuestRegisters.SlotF(op.Detail);
            _asm.Alu(Alu.Cmp, slot with { Displacement = slot.Displacement + 4 }, -1, Size.Bits32);
        }
        else
        {
            _asm.Extract32(Gp.Rax, home, 1);
            _asm.Alu(Alu.Cmp, Gp.Rax, -1, Size.Bits32);
        }

        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.SlowEnds, instruction);
        _boxed |= 1u << op.Detail;
    }

    /// <summary>The home of a register's value, or a scratch register that is loaded now.</summary>
    private Xmm Vector(short value, Xmm scratch)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        Xmm home = GuestRegisters.VectorOf(op.Detail);
        if (home != Xmm.None)
            return home;
        _asm.LoadDouble(scratch, GuestRegisters.SlotF(op.Detail));
        return scratch;
    }

    /// <summary>Where a result may be made before it has been looked at: its register's home, unless the shared function still needs what that holds.</summary>
    private Xmm ResultRegister(int index, in IrOp op)
    {
        if (!TryFloatDestination(index, out int register))
            return Work;
        Xmm home = GuestRegisters.VectorOf(register);
        bool isOperand = IsRegister(op.A, register) || IsRegister(op.B, register) || IsRegister(op.C, register);
        return home == Xmm.None || isOperand ? Work : home;
    }

    private bool IsRegister(short value, int register) => value >= 0 && _block.Ops[value] is { Code: IrCode.ReadF } read && read.Detail == register;

    private bool TryFloatDestination(int index, out int register)
    {
        int next = NextEffect(index);
        register = 0;
        if (next == _block.OpCount || _block.Ops[next] is not { Code: IrCode.WriteF } write || write.A != index)
            return false;
        register = write.Detail;
        return true;
    }

    private void Finish(int index, Xmm result) => _vectors[index] = result;

    private void EmitFused(FloatOperation operation, bool isDouble, in IrOp op, Xmm x, Xmm to)
    {
        // to = ±(x * y) ± z; of the forms with three registers, 231 adds to the first one.
        Xmm y = Vector(op.B, Spare);
        Xmm z = GuestRegisters.VectorOf(_block.Ops[op.C].Detail);
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
                    _asm.FmaMemory(add213, isDouble, Work, y, GuestRegisters.SlotF(_block.Ops[op.C].Detail));
                    Copy(to, Work);
                    return;
                }

                _asm.LoadDouble(Spare, GuestRegisters.SlotF(_block.Ops[op.C].Detail));
                z = Spare;
            }

            _asm.Fma(add213, isDouble, Work, y, z);
            Copy(to, Work);
            return;
        }

        if (z == Xmm.None)
            _asm.LoadDouble(Work, GuestRegisters.SlotF(_block.Ops[op.C].Detail));
        else
            Copy(Work, z);
        _asm.Fma(add231, isDouble, Work, x, y);
        Copy(to, Work);
    }

    private void Copy(Xmm to, Xmm from)
    {
        if (to != from)
            _asm.Mov(to, from);
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
        Place(index, to);
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
        Place(index, to);
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

        // What lies above a single has to be ones.
        if (isDouble)
            _asm.Logic(LogicXor, Work, Work, Work);
        else
            _asm.Logic(AllOnes, Work, Work, Work);
        _asm.FromInteger(isDouble, Work, Work, source, operation == FloatOperation.FromInt32 ? Size.Bits32 : Size.Bits64);
    }

    private void EmitConvert(in IrOp op, bool toDouble)
    {
        if (toDouble)
        {
            CheckBoxed(op.A, op.Instruction);
            Xmm single = Vector(op.A, Spare);
            _asm.ConvertScalar(toDouble: true, Work, single, single);
            CheckFinite(Work, isDouble: true, op);
            return;
        }

        Xmm source = Vector(op.A, Spare);
        _asm.Logic(AllOnes, Work, Work, Work);
        _asm.ConvertScalar(toDouble: false, Work, Work, source);
        CheckNormal(Work, isDouble: false, op, 0);
    }

    private void EmitWriteF(in IrOp op)
    {
        ref readonly IrOp value = ref _block.Ops[op.A];
        bool boxed = (value.Code == IrCode.Float && value.Detail2 == (byte)FloatFormat.Single) || IsBox(value);
        _boxed = boxed ? _boxed | 1u << op.Detail : _boxed & ~(1u << op.Detail);
        Xmm home = GuestRegisters.VectorOf(op.Detail), from = _vectors[op.A];
        if (from != Xmm.None)
        {
            if (home == Xmm.None)
                _asm.StoreDouble(GuestRegisters.SlotF(op.Detail), from);
            else
                Copy(home, from);
            return;
        }

        int free = Free;
        Gp register = Use(op.A, ref free);
        if (home == Xmm.None)
            _asm.Store(GuestRegisters.SlotF(op.Detail), register);
        else
            _asm.Mov(home, register, Size.Bits64);
    }

    private bool IsBox(in IrOp value) => value.Code == IrCode.Or && _block.Ops[value.B] is { Code: IrCode.Constant, Imm: 0xffffffff_00000000 };

    /// <summary>A load straight into a vector register, where that is what the instruction does with it.</summary>
    private bool TryLoadFloat(int index, MemoryWidth width, in Mem place)
    {
        int next = NextEffect(index);
        if (next == _block.OpCount || _block.Ops[next] is not { Code: IrCode.WriteF } write)
            return false;
        if (width == MemoryWidth.Double && write.A == index)
        {
            Xmm home = GuestRegisters.VectorOf(write.Detail);
            Xmm to = home == Xmm.None ? Work : home;
            _asm.LoadDouble(to, place);
            Finish(index, to);
            return true;
        }

        ref readonly IrOp box = ref _block.Ops[write.A];
        if (width != MemoryWidth.Word || !IsBox(box) || box.A != index)
            return false;
        _asm.LoadSingle(Work, place);
        _asm.Logic(LogicOr, Work, Work, GuestRegisters.Field(ContextLayout.Box));
        Finish(write.A, Work);
        return true;
    }

    private bool TryStoreFloat(short value, int bytes, in Mem place)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        Xmm home = op.Code == IrCode.ReadF ? GuestRegisters.VectorOf(op.Detail) : Xmm.None;
        if (home == Xmm.None)
            return false;
        if (bytes == 8)
            _asm.StoreDouble(place, home);
        else
            _asm.StoreSingle(place, home);
        return true;
    }

    private int NextEffect(int index)
    {
        int next = index + 1;
        while (next < _block.OpCount && _block.Ops[next].Code < IrCode.Load)
            next++;
        return next;
    }
}
