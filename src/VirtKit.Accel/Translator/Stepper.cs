using VirtKit.Interpreter;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>Runs a few instructions by the interpreter's handlers, from a block that is built for this once: what is left of a budget, and code that may not be kept.</summary>
internal sealed unsafe class Stepper : IDisposable
{
    private readonly Hart _hart;
    private readonly InterpreterContext* _context;
    private readonly BlockBuilder _builder;
    private readonly NativeBlock _scratchBlock = new(BlockBuilder.MaxSlots * sizeof(Op));
    private readonly NativeBlock _jumpBlock = new(JumpEntry.Count * sizeof(JumpEntry));
    private readonly Op* _scratch;
    private readonly JumpEntry* _noJumps;

    public Stepper(InstructionSet set, HandlerTable handlers, Hart hart, InterpreterContext* context)
    {
        _scratch = (Op*)_scratchBlock.Pointer;
        _noJumps = (JumpEntry*)_jumpBlock.Pointer;
        _hart = hart;
        _context = context;
        _builder = new BlockBuilder(set, handlers);
        new Span<JumpEntry>(_noJumps, JumpEntry.Count).Fill(new JumpEntry { Pc = JumpEntry.Invalid });
    }

    /// <summary>Runs at most so many instructions from an address; fewer where a jump, a trap or the end of what can be fetched comes first.</summary>
    /// <param name="budget">What may still retire, at least <paramref name="limit"/>.</param>
    /// <returns>What may still retire afterwards.</returns>
    public long Run(ulong pc, int limit, long budget)
    {
        TrapCause? cause = null;
        ulong faulting = 0;
        Op* op = _builder.Build(pc, limit, at =>
        {
            cause = _hart.Mmu.TranslateCode(at, out _, out byte* host, out _);
            faulting = at;
            return cause is null ? *(ushort*)(host + (at & 0xfff)) : null;
        }, ExitLinks.None, _ => (nint)_scratch);
        if (op == null)
        {
            _hart.Trap(cause!.Value, faulting);
            _hart.TakeTrap();
            return budget;
        }

        _context->Jumps = _noJumps;
        for (_context->Next = op; _context->Next != null;)
        {
            op = _context->Next;
            budget = op->Handler(_hart, op, _context, budget);
        }

        _context->WantsLink = null;
        return budget;
    }

    public void Dispose()
    {
        _scratchBlock.Dispose();
        _jumpBlock.Dispose();
    }
}
