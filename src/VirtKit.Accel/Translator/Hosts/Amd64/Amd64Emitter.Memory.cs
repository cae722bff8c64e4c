using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Loads, stores and atomics: the software TLB is looked up in line, and a miss goes to the shared function.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void EmitLoad(int index, in IrOp op)
    {
        var width = (MemoryWidth)op.Detail;
        Mem operand = EmitAddress(index, op, width.Bytes(), ContextLayout.ReadTlb);
        if (TryLoadFloat(index, width, operand))
            return;
        Gp to = LoadDestination(index);
        switch (width)
        {
            case MemoryWidth.SignedByte:
                _asm.MoveSign8(to, operand);
                break;
            case MemoryWidth.SignedHalf:
                _asm.MoveSign16(to, operand);
                break;
            case MemoryWidth.SignedWord:
                _asm.MoveSign32(to, operand);
                break;
            case MemoryWidth.Byte:
                _asm.MoveZero8(to, operand);
                break;
            case MemoryWidth.Half:
                _asm.MoveZero16(to, operand);
                break;
            case MemoryWidth.Word:
                _asm.Load(to, operand, Size.Bits32);
                break;
            default:
                _asm.Load(to, operand);
                break;
        }

        Locate(index, to);
    }

    private void EmitStore(int index, in IrOp op)
    {
        var width = (MemoryWidth)op.Detail;
        int bytes = width.Bytes();
        Mem operand = EmitAddress(index, op, bytes, ContextLayout.WriteTlb);
        if (TryImmediate(op.B, out int imm))
        {
            _asm.StoreImmediate(operand, imm, bytes);
            return;
        }

        if (TryStoreFloat(op.B, bytes, operand))
            return;
        int free = Scratch & ~Bit(operand.Base) & ~Bit(operand.Index == Gp.None ? operand.Base : operand.Index);
        Gp value = Use(op.B, ref free);
        switch (bytes)
        {
            case 1:
                _asm.Store8(operand, value);
                break;
            case 2:
                _asm.Store16(operand, value);
                break;
            case 4:
                _asm.Store(operand, value, Size.Bits32);
                break;
            default:
                _asm.Store(operand, value);
                break;
        }
    }

    private Mem EmitAddress(int index, in IrOp op, int bytes, int table)
    {
        if (op.Group != 0)
            return EmitSharedOperand(index, op, table);
        return _loop != null || (!_block.IsOneOff && op.Code == IrCode.Load && IsComputed(op.A))
            ? EmitRecentLookup(op, bytes, op.Code == IrCode.Store) : EmitLookup(op, bytes, table, mustAlign: false);
    }

    /// <summary>Whether an address is made in this block, so that the access waits for it, as in a lookup in a table. The stack pointer only moves by constants.</summary>
    private bool IsComputed(short address)
    {
        ref readonly IrOp op = ref _block.Ops[address];
        return op.Code switch
        {
            IrCode.ReadInteger => op.Imm != 0 && op.Detail != _homes.Guest.StackPointer,
            IrCode.Add => IsComputed(op.A) || IsComputed(op.B),
            _ => false,
        };
    }

    /// <summary>Looks an access's address up in a TLB. Afterwards rdx is free; the operand uses rcx, and rax or the address's home.</summary>
    private Mem EmitLookup(in IrOp op, int bytes, int table, bool mustAlign)
    {
        Gp address = EmitAddress(op.A);
        EmitEntry(address, table);
        if (mustAlign)
            EmitAlignedTag(address, bytes);
        else
            EmitTag(address, bytes - 1);
        _asm.Alu(Alu.Cmp, Gp.Rdx, new Mem(Gp.Rcx, 0));
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Slow, op.Instruction);
        _asm.Load(Gp.Rcx, new Mem(Gp.Rcx, 8));
        return new Mem(address, 0, Gp.Rcx);
    }

    /// <summary>The page of the last byte of an access, into rdx (<see cref="TlbEntry.TagOf"/>).</summary>
    private void EmitTag(Gp address, int last)
    {
        _asm.Lea(Gp.Rdx, new Mem(address, last));
        _asm.Alu(Alu.And, Gp.Rdx, -0x1000);
    }

    /// <summary>As <see cref="EmitTag"/>, of an access that has to be aligned (<see cref="TlbEntry.AlignedTagOf"/>).</summary>
    private void EmitAlignedTag(Gp address, int bytes)
    {
        _asm.Constant(Gp.Rdx, TlbEntry.AlignedTagOf(ulong.MaxValue, bytes));
        _asm.Alu(Alu.And, Gp.Rdx, address);
    }

    /// <summary>The TLB entry of an address, into rcx.</summary>
    private void EmitEntry(Gp address, int table)
    {
        _asm.Rorx(Gp.Rcx, address, 8, Size.Bits32);
        _asm.Alu(Alu.And, Gp.Rcx, (TlbEntry.Count - 1) * 16, Size.Bits32);
        _asm.Alu(Alu.Add, Gp.Rcx, GuestRegisters.Field(table));
    }

    /// <returns>The host register that already holds the address, or rax.</returns>
    private Gp EmitAddress(short value)
    {
        if (TryRegister(value, out Gp home))
            return home;
        Into(value, Gp.Rax, Scratch & ~Bit(Gp.Rax));
        return Gp.Rax;
    }

    /// <summary>The home of the register that the value is written to next, or rax.</summary>
    private Gp LoadDestination(int index)
    {
        int next = NextEffect(index);
        if (next == _block.OpCount || _block.Ops[next] is not { Code: IrCode.WriteInteger } write || write.A != index)
            return Gp.Rax;
        Gp home = _registers.HomeOf(write.Detail);
        return home == Gp.None ? Gp.Rax : home;
    }

    private void Locate(int index, Gp register)
    {
        if ((Bit(register) & Scratch) != 0 && IsNeededBehindAnAccess(index))
        {
            Spill(index, register);
            return;
        }

        _locations[index] = register;
        _reserved |= Bit(register) & Scratch;
    }

    /// <summary>Whether a loaded value is still used when another access of its instruction has taken the scratch registers.</summary>
    private bool IsNeededBehindAnAccess(int index)
    {
        ref readonly IrOp loaded = ref _block.Ops[index];
        bool access = false;
        for (int i = index + 1; i < _block.OpCount && _block.Ops[i].Instruction == loaded.Instruction; i++)
        {
            ref readonly IrOp op = ref _block.Ops[i];
            if (op.Code < IrCode.Load)
                continue;
            access |= op.Code is IrCode.Load or IrCode.Store or IrCode.Atomic;
            if (access && (DependsOn(op.A, index) || DependsOn(op.B, index) || DependsOn(op.C, index)))
                return true;
        }

        return false;
    }

    private bool DependsOn(short value, int index)
    {
        if (value < index)
            return false;
        ref readonly IrOp op = ref _block.Ops[value];
        return value == index || (op.Code < IrCode.Load && (DependsOn(op.A, index) || DependsOn(op.B, index) || DependsOn(op.C, index)));
    }

    private void Spill(int index, Gp register)
    {
        _exhausted |= _spills == SpilledValues.Count;
        _asm.Store(SpillSlot(_spills), register);
        _spilled[index] = (byte)++_spills;
    }

    private static Mem SpillSlot(int number) => GuestRegisters.Field(ContextLayout.Spilled + 8 * number);

    private bool SupportsAtomic(in IrOp op) =>
        _block.Ops[op.B].Code == IrCode.ReadInteger || (AtomicOperation)op.Detail is AtomicOperation.Swap or AtomicOperation.Add;

    private void EmitAtomic(int index, in IrOp op)
    {
        var width = (MemoryWidth)op.Detail2;
        var operation = (AtomicOperation)op.Detail;
        Size size = width == MemoryWidth.Double ? Size.Bits64 : Size.Bits32;
        Mem operand = EmitLookup(op, width.Bytes(), ContextLayout.WriteTlb, mustAlign: true);
        Gp old;
        if (operation is AtomicOperation.Swap or AtomicOperation.Add)
        {
            old = Gp.Rdx;
            Into(op.B, old, 0);
            if (operation == AtomicOperation.Swap)
                _asm.Exchange(operand, old, size);
            else
                _asm.LockExchangeAdd(operand, old, size);
        }
        else
        {
            old = Gp.Rax;
            _asm.Lea(Gp.Rdx, operand);
            EmitCompareExchangeLoop(operation, op.B, size);
        }

        if (size == Size.Bits32)
            _asm.MoveSign32(old, old);
        Locate(index, old);
    }

    /// <summary>Changes the memory at rdx; rax is what it was.</summary>
    private void EmitCompareExchangeLoop(AtomicOperation operation, short operand, Size size)
    {
        var memory = new Mem(Gp.Rdx, 0);
        bool inRegister = TryRegister(operand, out Gp register);
        Mem slot = GuestRegisters.Slot(_block.Ops[operand].Detail);
        _asm.Load(Gp.Rax, memory, size);
        byte* again = _asm.Cursor;
        if (operation is AtomicOperation.Xor or AtomicOperation.And or AtomicOperation.Or)
        {
            Alu code = operation switch { AtomicOperation.Xor => Alu.Xor, AtomicOperation.And => Alu.And, _ => Alu.Or };
            _asm.Move(Gp.Rcx, Gp.Rax, size);
            if (inRegister)
                _asm.Alu(code, Gp.Rcx, register, size);
            else
                _asm.Alu(code, Gp.Rcx, slot, size);
        }
        else
        {
            // The old value stays where the operand is not further in the direction.
            if (inRegister)
                _asm.Move(Gp.Rcx, register, size);
            else
                _asm.Load(Gp.Rcx, slot, size);
            _asm.Alu(Alu.Cmp, Gp.Rax, Gp.Rcx, size);
            _asm.MoveIf(operation switch
            {
                AtomicOperation.Min => Condition.Less,
                AtomicOperation.Max => Condition.Greater,
                AtomicOperation.MinUnsigned => Condition.Below,
                _ => Condition.Above,
            }, Gp.Rcx, Gp.Rax);
        }

        _asm.LockCompareExchange(memory, Gp.Rcx, size);
        Amd64Assembler.Bind(_asm.JumpIf(Condition.NotEqual), again);
    }
}
