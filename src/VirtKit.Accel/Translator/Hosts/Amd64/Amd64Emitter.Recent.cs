using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Accesses in loops, and loads from addresses that are computed just before: the page that was reached last at the same place is tried before the TLB.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    /// <summary>An instruction has at most one.</summary>
    private readonly RecentMiss[] _misses = new RecentMiss[IrBlock.MaxInstructions];
    private int _missCount;

    /// <summary>An access that missed: where its code goes on, with the addend in rcx.</summary>
    private readonly record struct RecentMiss(nint Compared, nint Jump, nint Found, Gp Address, int Bytes, bool IsStore, int Instruction);

    /// <summary>As <see cref="EmitLookup"/>. The entry is not found by the address: only an aligned access is known to begin in the page in which it ends. Others miss.</summary>
    private Mem EmitRecentLookup(in IrOp op, int bytes, bool isStore)
    {
        Gp address = EmitAddress(op.A);
        int entry = ContextLayout.RecentPages + RecentEntry(op.Instruction, isStore) * sizeof(TlbEntry);
        EmitAlignedTag(address, bytes);
        _asm.AlignPatch(3);
        _asm.Alu(Alu.Cmp, Gp.Rdx, GuestRegisters.Field(entry));
        byte* compared = _asm.Cursor - 4;
        _asm.AlignPatch(2);
        byte* jump = _asm.JumpIf(Condition.NotEqual);
        _asm.Load(Gp.Rcx, GuestRegisters.Field(entry + 8));
        _misses[_missCount++] = new RecentMiss((nint)compared, (nint)jump, (nint)_asm.Cursor, address, bytes, isStore, op.Instruction);
        return new Mem(address, 0, Gp.Rcx);
    }

    private int RecentEntry(int instruction, bool isStore) =>
        (int)(_block.Instructions[instruction].Pc >> 1 & (RecentPages.Count - 1)) + (isStore ? RecentPages.Count : 0);

    private void EmitRecentMisses()
    {
        for (int i = 0; i < _missCount; i++)
        {
            ref readonly RecentMiss miss = ref _misses[i];
            byte* lookup = _asm.Cursor;
            EmitMissedLookup(miss);
            Amd64Assembler.Bind(_asm.Jump(), (byte*)miss.Found);
            _asm.Bind((byte*)miss.Jump);
            EmitMissedLookup(miss);
            int number = RecentEntry(miss.Instruction, miss.IsStore), entry = ContextLayout.RecentPages + number * sizeof(TlbEntry);
            _asm.Store(GuestRegisters.Field(entry), Gp.Rdx);
            _asm.Store(GuestRegisters.Field(entry + 8), Gp.Rcx);
            _asm.StoreImmediate(GuestRegisters.Field(ContextLayout.RecentAreUsed), 1, 4);
            _asm.Alu(Alu.Sub, GuestRegisters.Field(ContextLayout.RecentMissesLeft + 4 * number), 1, Size.Bits32);
            Amd64Assembler.Bind(_asm.JumpIf(Condition.NotSign), (byte*)miss.Found);
            int probe = _records.Probes.Add(
                new PageProbe { Entry = number, Site = SiteOf(miss.Instruction), Compared = (byte*)miss.Compared, Jump = (byte*)miss.Jump, Lookup = lookup });
            EmitSlow(~probe, miss.Instruction);
        }
    }

    private void EmitMissedLookup(in RecentMiss miss)
    {
        if (miss.Bytes > 1)
            EmitTag(miss.Address, miss.Bytes - 1);
        EmitEntry(miss.Address, miss.IsStore ? ContextLayout.WriteTlb : ContextLayout.ReadTlb);
        _asm.Alu(Alu.Cmp, Gp.Rdx, new Mem(Gp.Rcx, 0));
        Cold(_asm.JumpIf(Condition.NotEqual), ColdKind.Slow, miss.Instruction);
        _asm.Load(Gp.Rcx, new Mem(Gp.Rcx, 8));
    }
}
