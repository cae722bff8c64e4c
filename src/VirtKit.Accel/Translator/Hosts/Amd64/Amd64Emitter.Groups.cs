using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Accesses that share one TLB lookup. Where that does not find them in one page that is known, the block is left for another translation of the same
/// instructions, in which each has a lookup of its own.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    /// <summary>Scratch registers that are in use over several instructions.</summary>
    private int _held;

    /// <summary>The place of one of a group's accesses. From the first access to the last, rcx holds the host's address of what the base points to.</summary>
    private Mem EmitSharedOperand(int index, in IrOp op, int table)
    {
        ref readonly AccessGroup group = ref _block.Groups[op.Group - 1];
        if (index == group.First)
            EmitSharedLookup(group, op.Group - 1, table);
        _held = index == group.Last ? 0 : Bit(Gp.Rcx);
        ref readonly IrOp address = ref _block.Ops[op.A];
        return new Mem(Gp.Rcx, address.Code == IrCode.Add ? (int)_block.Ops[address.B].Imm : 0);
    }

    /// <summary>The entry is that of the first byte, and its tag has to be the page of the last one: then all lie in one page.</summary>
    private void EmitSharedLookup(in AccessGroup group, int number, int table)
    {
        Gp address = _registers.HomeOf(group.Register);
        if (address == Gp.None)
        {
            address = Gp.Rax;
            _asm.Load(address, GuestRegisters.Slot(group.Register));
        }

        Gp low = address;
        if (group.FirstByte != 0)
        {
            low = Gp.Rcx;
            _asm.Lea(low, new Mem(address, group.FirstByte), Size.Bits32);
        }

        EmitEntry(low, table);
        EmitTag(address, group.LastByte);
        _asm.Alu(Alu.Cmp, Gp.Rdx, new Mem(Gp.Rcx, 0));
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Group, number);
        _asm.Load(Gp.Rcx, new Mem(Gp.Rcx, 8));
        _asm.Alu(Alu.Add, Gp.Rcx, address);
    }

    /// <summary>Leaves before an instruction, for a translation of the rest in which nothing is shared.</summary>
    private void EmitOneOff(int instruction)
    {
        _asm.Alu(Alu.Add, GuestRegisters.Budget, _block.InstructionCount - instruction);
        EmitGiveRegisters();
        EmitLinkable(_records.Exits.Add(new ExitRecord(_block.Instructions[instruction].Pc, oneOff: true)));
    }
}
