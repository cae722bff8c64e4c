using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Lowers a block to x86-64: values are expression trees that are computed where an op with an effect needs them, pinned guest registers straight in
/// their homes. rax, rcx and rdx are scratch; what may fail jumps to code behind the block that calls the instruction's shared function.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    /// <summary>More than any block's code takes.</summary>
    public const int MaxBlockSize = 64 << 10;

    private const int Scratch = 1 << (int)Gp.Rax | 1 << (int)Gp.Rcx | 1 << (int)Gp.Rdx;

    private readonly Amd64Assembler _asm;
    private readonly Amd64Stubs _stubs;
    private readonly CodeRecords _records;
    private readonly IrBlock _block;
    private readonly Gp[] _locations;

    /// <summary>For each value, 1 and the number of its place among the spilled ones; or 0.</summary>
    private readonly byte[] _spilled = new byte[IrBlock.MaxOps];
    private int _spills;
    private readonly RegisterHomes _homes;
    private readonly BlockRegisters _registers;
    private ColdJump[] _cold = new ColdJump[64];
    private int _coldCount;
    private readonly nint[] _after = new nint[IrBlock.MaxInstructions];
    private readonly int[] _siteOf = new int[IrBlock.MaxInstructions];
    private readonly int[] _endSiteOf = new int[IrBlock.MaxInstructions];
    private int _reserved;
    private byte* _loop;
    private bool _targetInRax;
    private bool _exhausted;

    public Amd64Emitter(Amd64Assembler assembler, Amd64Stubs stubs, RegisterHomes homes, IrBlock block, CodeRecords records)
    {
        _homes = homes;
        _registers = new BlockRegisters(homes);
        _asm = assembler;
        _stubs = stubs;
        _block = block;
        _records = records;
        _locations = new Gp[IrBlock.MaxOps];
        _vectors = new Xmm[IrBlock.MaxOps];
    }

    /// <summary>Whether a block that ends in a branch to its beginning may stay inside itself.</summary>
    public required bool KeepsLoops { get; init; }

    /// <summary>A jump out of the block's straight path, to code that is emitted behind it.</summary>
    private readonly record struct ColdJump(nint Displacement, ColdKind Kind, int Index);

    private enum ColdKind : byte
    {
        /// <summary>The shared function of an instruction.</summary>
        Slow,

        /// <summary>The same, and then the block is left.</summary>
        SlowEnds,

        /// <summary>To a translation without groups.</summary>
        Group,

        /// <summary>An exit, to be linked.</summary>
        Unlinked,

        /// <summary>An exit that is left for the dispatcher.</summary>
        Unlinkable,

        /// <summary>The branch at the block's end with Attention set.</summary>
        Branch,

        /// <summary>The budget does not hold the block.</summary>
        Budget,
    }

    public bool Supports(in IrOp op) => op.Code switch
    {
        IrCode.Float => SupportsFloat(op),
        IrCode.Atomic => SupportsAtomic(op),
        _ => true,
    };

    /// <summary>Emits the block at the assembler's cursor, which is its entry.</summary>
    /// <returns>Whether it could be done; if not, an expression was too large, and what lies behind the old cursor is nothing.</returns>
    public bool TryEmit()
    {
        _exhausted = false;
        int opCount = _block.OpCount;
        _coldCount = 0;
        _missCount = 0;
        Array.Fill(_locations, Gp.None, 0, opCount);
        Array.Clear(_spilled, 0, opCount);
        _spills = 0;
        Array.Fill(_vectors, Xmm.None, 0, opCount);
        Array.Fill(_siteOf, -1, 0, _block.InstructionCount);
        Array.Fill(_endSiteOf, -1, 0, _block.InstructionCount);
        _rounds = false;
        _boxed = 0;
        _reserved = 0;
        _held = 0;
        _targetInRax = false;
        bool loops = KeepsLoops && !_block.IsOneOff && _block.IsLoop;
        _registers.Assign(_block, loops);
        EmitTakeRegisters();
        _loop = loops ? _asm.Cursor : null;
        _asm.Alu(Alu.Sub, GuestRegisters.Budget, _block.InstructionCount);
        Cold(_asm.JumpIf(Condition.Below), ColdKind.Budget, 0);
        int instruction = 0;
        bool ended = false;
        for (int i = 0; i < opCount; i++)
        {
            ref readonly IrOp op = ref _block.Ops[i];
            for (; instruction < op.Instruction; instruction++)
            {
                _after[instruction] = (nint)_asm.Cursor;
                _reserved = 0;
                _spills = 0;
            }

            if (op.Code >= IrCode.Load)
                ended |= EmitEffect(i, op);
        }

        for (; instruction < _block.InstructionCount; instruction++)
            _after[instruction] = (nint)_asm.Cursor;
        if (_targetInRax)
            EmitComputedExit();
        else if (!ended)
            EmitExit(_block.NextPc);
        EmitRecentMisses();
        EmitCold();
        return !_exhausted;
    }

    /// <returns>Whether the op ends the block.</returns>
    private bool EmitEffect(int index, in IrOp op)
    {
        switch (op.Code)
        {
            case IrCode.WriteInteger:
                EmitWriteInteger(op);
                return false;
            case IrCode.WriteFloat:
                EmitWriteFloat(op);
                return false;
            case IrCode.Load:
                EmitLoad(index, op);
                return false;
            case IrCode.Store:
                EmitStore(index, op);
                return false;
            case IrCode.Atomic:
                EmitAtomic(index, op);
                return false;
            case IrCode.Float:
                EmitFloat(index, op);
                return false;
            case IrCode.UseFloat:
                _asm.Alu(Alu.Cmp, GuestRegisters.Field(ContextLayout.FloatReady), 0, Size.Bits32);
                // The block is left then, because what follows relies on the other checks of this instruction.
                Cold(_asm.JumpIf(Condition.Equal), ColdKind.SlowEnds, op.Instruction);
                return false;
            case IrCode.Fence:
                _asm.LockOr(new Mem(Gp.Rsp, 0), 0);
                return false;
            case IrCode.Fallback:
                _boxed = 0;
                _asm.Constant(Gp.Rax, (ulong)SiteOf(op.Instruction, (BlockEnd)op.Detail));
                Amd64Assembler.Bind(_asm.Call(), _stubs.Slow);
                if (op.Detail == (byte)BlockEnd.Maybe)
                    EmitExit(_block.NextPc);
                return op.Detail != (byte)BlockEnd.None;
            case IrCode.Branch:
                EmitBranch(op);
                return true;
            case IrCode.Jump:
                EmitExit(op.Imm);
                return true;
            case IrCode.Target:
                Into(op.A, Gp.Rax, Scratch & ~Bit(Gp.Rax));
                _reserved = Bit(Gp.Rax);
                _targetInRax = true;
                return false;
            default:
                throw new InvalidOperationException($"No emitter for {op.Code}.");
        }
    }

    private void EmitWriteInteger(in IrOp op)
    {
        Gp home = _registers.HomeOf(op.Detail);
        if (home != Gp.None)
        {
            Into(op.A, home, Free);
            return;
        }

        Mem slot = GuestRegisters.Slot(op.Detail);
        ref readonly IrOp value = ref _block.Ops[op.A];
        if (value.IsConstant && (long)value.Imm == (int)value.Imm)
        {
            _asm.StoreImmediate(slot, (int)value.Imm, 8);
            return;
        }

        int free = Free;
        _asm.Store(slot, Use(op.A, ref free));
    }

    /// <summary>The scratch registers that hold nothing.</summary>
    private int Free => Scratch & ~(_reserved | _held);

    private static int Bit(Gp register) => 1 << (int)register;

    private Gp Take(ref int free)
    {
        foreach (Gp register in (ReadOnlySpan<Gp>)[Gp.Rax, Gp.Rcx, Gp.Rdx])
        {
            if ((free & Bit(register)) == 0)
                continue;
            free &= ~Bit(register);
            return register;
        }

        // The block is given up: TryEmit returns false, and this code is discarded.
        _exhausted = true;
        return Gp.Rax;
    }

    private void Cold(byte* displacement, ColdKind kind, int index)
    {
        if (_coldCount == _cold.Length)
            Array.Resize(ref _cold, 2 * _cold.Length);
        _cold[_coldCount++] = new ColdJump((nint)displacement, kind, index);
    }

    private int SiteOf(int instruction, BlockEnd end = BlockEnd.None)
    {
        ref int site = ref (end == BlockEnd.None ? _siteOf : _endSiteOf)[instruction];
        if (site >= 0)
            return site;
        ref readonly GuestInstruction guest = ref _block.Instructions[instruction];
        return site = _records.Sites.Add(new Site
        {
            Pc = guest.Pc, Operands = guest.Operands, Row = guest.Row, Length = guest.Length, End = end,
            Remaining = (byte)(_block.InstructionCount - instruction),
        });
    }
}
