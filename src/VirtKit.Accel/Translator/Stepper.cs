using VirtKit.Interpreter;
using VirtKit.Memory;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>Runs a few instructions by the interpreter's handlers, from a block that is built for one use: for the rest of a budget, and for code that must not be cached.</summary>
internal sealed unsafe class Stepper : IDisposable
{
    private readonly GuestCpu _cpu;
    private readonly InterpreterContext* _context;
    private readonly BlockBuilder _builder;
    private readonly NativeBlock _scratchBlock = new(BlockBuilder.MaxSlots * sizeof(Op));
    private readonly NativeBlock _jumpBlock = NativeBlock.LazilyZeroed(JumpEntry.Count * sizeof(JumpEntry));
    private readonly Op* _scratch;
    private readonly JumpEntry* _noJumps;

    private readonly Func<int, nint> _allocate;

    public Stepper(GuestInstructions set, HandlerTable handlers, GuestCpu cpu, InterpreterContext* context)
    {
        _scratch = (Op*)_scratchBlock.Pointer;
        _noJumps = (JumpEntry*)_jumpBlock.Pointer;
        _cpu = cpu;
        _context = context;
        _builder = new BlockBuilder(set, handlers);
        _allocate = _ => (nint)_scratch;
        // Zeroes are invalid entries: of all addresses only 0 has the entry 0.
        _noJumps[0].Pc = JumpEntry.InvalidFirst;
    }

    /// <summary>Runs at most so many instructions from an address; fewer where a jump, a trap or the end of what can be fetched comes first.</summary>
    /// <param name="budget">What may still retire, at least <paramref name="limit"/>.</param>
    /// <returns>What may still retire afterwards.</returns>
    public long Run(ulong pc, int limit, long budget)
    {
        Op* op = _builder.Build(pc, limit, _cpu, ExitLinks.None, _allocate);
        if (op == null)
        {
            _cpu.TakeTrap();
            return budget;
        }

        _context->Jumps = _noJumps;
        for (_context->Next = op; _context->Next != null;)
        {
            op = _context->Next;
            budget = op->Handler(_cpu, op, _context, budget);
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
