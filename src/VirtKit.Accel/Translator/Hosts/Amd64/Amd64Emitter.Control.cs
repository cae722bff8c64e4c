using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>The ends of blocks, and what stands behind them.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void EmitBranch(in IrOp op)
    {
        bool back = op.Imm <= _block.Instructions[op.Instruction].Pc;
        if (_loop != null)
        {
            EmitBranchAttention();
            Amd64Assembler.Bind(_asm.JumpIf(EmitCompare(op, Free)), _loop);
            EmitGiveRegisters();
            EmitExit(_block.NextPc);
            return;
        }

        if (_block.IsWithinPage(op.Imm))
        {
            // Checked before the comparison, so that a loop has a single jump at its end.
            if (back)
                EmitBranchAttention();
            EmitLink(EmitCompare(op, Free), op.Imm);
            EmitExit(_block.NextPc);
            return;
        }

        Condition opposite = EmitCompare(op, Free) ^ (Condition)1;
        if (_block.IsWithinPage(_block.NextPc))
        {
            EmitLink(opposite, _block.NextPc);
            EmitExit(op.Imm);
            return;
        }

        byte* next = _asm.JumpIf(opposite);
        EmitExit(op.Imm);
        _asm.Bind(next);
        EmitExit(_block.NextPc);
    }

    /// <summary>With Attention set, the branch is decided out of line and the block is left on either side.</summary>
    private void EmitBranchAttention()
    {
        _asm.Alu(Alu.Cmp, GuestRegisters.Field(ContextLayout.Attention), 0, Size.Bits32);
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Branch, 0);
    }

    private void EmitColdBranch()
    {
        ref readonly IrOp op = ref _block.Ops[_block.OpCount - 1];
        Condition condition = EmitCompare(op, Scratch);
        byte* taken = _asm.JumpIf(condition);
        EmitUnlinkable(_block.NextPc);
        _asm.Bind(taken);
        EmitUnlinkable(op.Imm);
    }

    private void EmitUnlinkable(ulong pc)
    {
        EmitGiveRegisters();
        _asm.Constant(Gp.Rax, (ulong)_records.Exits.Add(new ExitRecord(pc)));
        Amd64Assembler.Bind(_asm.Jump(), _stubs.Unlinkable);
    }

    /// <summary>Whether a block at an address can be jumped to as long as this one is valid: not in another page, which may be mapped anew, and not where its first
    /// instruction may reach into the next page.</summary>
    private void EmitLink(Condition condition, ulong pc)
    {
        _asm.AlignPatch(2);
        byte* patch = _asm.JumpIf(condition);
        Cold(patch, ColdKind.Unlinked, _records.Exits.Add(new ExitRecord(pc, patch)));
    }

    private void EmitExit(ulong pc) => EmitExit(pc, back: pc <= _block.Pc);

    /// <param name="back">Whether a loop may come by, which has to be interruptible.</param>
    private void EmitExit(ulong pc, bool back)
    {
        if (_block.IsWithinPage(pc))
        {
            int exit = _records.Exits.Add(new ExitRecord(pc));
            if (back)
                EmitAttention(exit);
            EmitLinkable(exit);
            return;
        }

        int other = _records.Exits.Add(new ExitRecord(pc));
        EmitAttention(other);
        var entry = new Mem(Gp.Rcx, CodeEntry.OffsetOf(pc));
        _asm.Load(Gp.Rcx, GuestRegisters.Field(ContextLayout.Jumps));
        if ((long)pc == (int)pc)
        {
            _asm.Alu(Alu.Cmp, entry, (int)pc);
        }
        else
        {
            _asm.Constant(Gp.Rax, pc);
            _asm.Alu(Alu.Cmp, Gp.Rax, entry);
        }

        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Unlinkable, other);
        _asm.Jump(entry with { Displacement = entry.Displacement + 8 });
    }

    /// <summary>Jumps through an exit, first to be linked and then straight.</summary>
    private void EmitLinkable(int exit)
    {
        _asm.AlignPatch(1);
        byte* patch = _asm.Jump();
        _records.Exits[exit].Patch = patch;
        Cold(patch, ColdKind.Unlinked, exit);
    }

    private void EmitAttention(int exit)
    {
        _asm.Alu(Alu.Cmp, GuestRegisters.Field(ContextLayout.Attention), 0, Size.Bits32);
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Unlinkable, exit);
    }

    /// <summary>To the address in rax, through the jump cache.</summary>
    private void EmitComputedExit()
    {
        _asm.Alu(Alu.Cmp, GuestRegisters.Field(ContextLayout.Attention), 0, Size.Bits32);
        Amd64Assembler.Bind(_asm.JumpIf(Condition.NotEqual), _stubs.Computed);
        _asm.Rorx(Gp.Rcx, Gp.Rax, CodeEntry.PageShift, Size.Bits64);
        _asm.Alu(Alu.Xor, Gp.Rcx, Gp.Rax, Size.Bits32);
        _asm.Rorx(Gp.Rcx, Gp.Rcx, 29, Size.Bits32);
        _asm.Alu(Alu.And, Gp.Rcx, (CodeEntry.Count - 1) * 16, Size.Bits32);
        _asm.Alu(Alu.Add, Gp.Rcx, GuestRegisters.Field(ContextLayout.Jumps));
        _asm.Alu(Alu.Cmp, Gp.Rax, new Mem(Gp.Rcx, 0));
        Amd64Assembler.Bind(_asm.JumpIf(Condition.NotEqual), _stubs.Computed);
        _asm.Jump(new Mem(Gp.Rcx, 8));
    }

    private void EmitCold()
    {
        // Cold code may add further cold jumps to the list.
        for (int i = 0; i < _coldCount; i++)
        {
            ColdJump jump = _cold[i];
            _asm.Bind((byte*)jump.Displacement);
            switch (jump.Kind)
            {
                case ColdKind.Slow:
                    EmitSlow(SiteOf(jump.Index), jump.Index);
                    break;
                case ColdKind.Group:
                    EmitOneOff(_block.Ops[_block.Groups[jump.Index].First].Instruction);
                    break;
                case ColdKind.SlowEnds:
                    EmitGiveRegisters();
                    _asm.Constant(Gp.Rax, (ulong)SiteOf(jump.Index, BlockEnd.Always));
                    Amd64Assembler.Bind(_asm.Call(), _stubs.Slow);
                    break;
                case ColdKind.Branch:
                    EmitColdBranch();
                    break;
                case ColdKind.Budget:
                    _asm.Alu(Alu.Add, GuestRegisters.Budget, _block.InstructionCount);
                    EmitGiveRegisters();
                    _asm.Constant(Gp.Rax, (ulong)_records.Exits.Add(new ExitRecord(_block.Pc)));
                    Amd64Assembler.Bind(_asm.Jump(), _stubs.OutOfBudget);
                    break;
                default:
                    _asm.Constant(Gp.Rax, (ulong)jump.Index);
                    Amd64Assembler.Bind(_asm.Jump(), jump.Kind == ColdKind.Unlinked ? _stubs.Unlinked : _stubs.Unlinkable);
                    break;
            }
        }
    }

    /// <summary>Runs an instruction by its shared function, and goes on behind it.</summary>
    /// <param name="site">Its site's number, or the complement of a <see cref="PageProbe"/>'s that has missed often.</param>
    private void EmitSlow(int site, int instruction)
    {
        EmitGiveRegisters();
        _asm.Constant(Gp.Rax, (uint)site);
        Amd64Assembler.Bind(_asm.Call(), _stubs.Slow);
        EmitTakeRegisters();
        Amd64Assembler.Bind(_asm.Jump(), (byte*)_after[instruction]);
    }

    /// <summary>Loads the block's local registers; spills the pinned guest registers whose host register they borrow.</summary>
    private void EmitTakeRegisters()
    {
        foreach (BlockRegisters.Loan loan in _registers.Loans)
        {
            _asm.Store(GuestRegisters.Slot(loan.Pinned), loan.Host);
            _asm.Load(loan.Host, GuestRegisters.Slot(loan.Guest));
        }
    }

    /// <summary>Undoes <see cref="EmitTakeRegisters"/>, as everything outside this block expects.</summary>
    private void EmitGiveRegisters()
    {
        foreach (BlockRegisters.Loan loan in _registers.Loans)
        {
            _asm.Store(GuestRegisters.Slot(loan.Guest), loan.Host);
            _asm.Load(loan.Host, GuestRegisters.Slot(loan.Pinned));
        }
    }
}
