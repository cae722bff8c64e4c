using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>The handlers of an instruction set for one way of dispatch.</summary>
internal sealed unsafe class HandlerTable
{
    private readonly nint[] _handlers;
    private readonly nint[] _branchesBack;
    private readonly Dictionary<(nint First, nint Second), nint> _pairs = [];

    private HandlerTable(int count)
    {
        _handlers = new nint[count];
        _branchesBack = new nint[count];
    }

    public nint FallThrough { get; private init; }

    public nint Unlinked { get; private init; }

    public nint OtherPage { get; private init; }

    public nint Illegal { get; private init; }

    public static HandlerTable Create<TDispatch>(InstructionSet set) where TDispatch : struct, IDispatch
    {
        var table = new HandlerTable(set.Rows.Count)
        {
            FallThrough = (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.FallThrough,
            Unlinked = (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.Unlinked,
            OtherPage = (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.OtherPage,
            Illegal = (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.Illegal,
        };
        set.Visit(new Collector<TDispatch>(table));
        FusedPairs.Visit(new PairCollector<TDispatch>(table));
        return table;
    }

    /// <summary>The handler of a row; of a branch that lies ahead or does not, see <see cref="Handlers{TFirst, T, TDispatch}"/>.</summary>
    public nint Of(InstructionSet.Row row, bool branchesBack) => branchesBack ? _branchesBack[row.Index] : _handlers[row.Index];

    /// <summary>The handler that does what these two do one after the other, or 0.</summary>
    public nint OfPair(
        delegate*<Hart, Op*, InterpreterContext*, long, long> first, delegate*<Hart, Op*, InterpreterContext*, long, long> second) =>
        _pairs.GetValueOrDefault(((nint)first, (nint)second));

    private static (nint Handler, nint BranchBack) Of<TFirst, T, TDispatch>()
        where TFirst : struct, IInstruction where T : struct, IInstruction where TDispatch : struct, IDispatch
    {
        switch (T.Encoding.Form)
        {
            case InstructionForm.Branch:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.BranchAhead,
                    (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.BranchBack);
            case InstructionForm.Jump:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.Jump, 0);
            case InstructionForm.JumpRegister:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.JumpRegister, 0);
            case InstructionForm.System:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.System, 0);
            case InstructionForm.Complex:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.PlainCalled, 0);
            default:
                return ((nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<TFirst, T, TDispatch>.Plain, 0);
        }
    }

    private sealed class Collector<TDispatch>(HandlerTable table) : IInstructionVisitor where TDispatch : struct, IDispatch
    {
        public void Visit<T>(int index) where T : struct, IInstruction =>
            (table._handlers[index], table._branchesBack[index]) = Of<Nothing, T, TDispatch>();
    }

    private sealed class PairCollector<TDispatch>(HandlerTable table) : IInstructionPairVisitor where TDispatch : struct, IDispatch
    {
        public void Visit<TFirst, TSecond>() where TFirst : struct, IInstruction where TSecond : struct, IInstruction
        {
            nint first = Of<Nothing, TFirst, TDispatch>().Handler;
            (nint second, nint secondBack) = Of<Nothing, TSecond, TDispatch>();
            (nint pair, nint pairBack) = Of<TFirst, TSecond, TDispatch>();
            table._pairs.Add((first, second), pair);
            if (secondBack != 0)
                table._pairs.Add((first, secondBack), pairBack);
        }
    }
}
