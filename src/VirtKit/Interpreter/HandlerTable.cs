using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>The handlers of an instruction set for one way of dispatch, by row index.</summary>
internal sealed unsafe class HandlerTable
{
    private readonly nint[] _handlers;
    private readonly nint[] _branchesBack;

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
        return table;
    }

    /// <summary>The handler of a row; of a branch that lies ahead or does not, see <see cref="Handlers{T, TDispatch}"/>.</summary>
    public nint Of(InstructionSet.Row row, bool branchesBack) => branchesBack ? _branchesBack[row.Index] : _handlers[row.Index];

    private sealed class Collector<TDispatch>(HandlerTable table) : IInstructionVisitor where TDispatch : struct, IDispatch
    {
        public void Visit<T>(int index) where T : struct, IInstruction
        {
            delegate*<Hart, Op*, InterpreterContext*, long, long> handler = T.Encoding.Form switch
            {
                InstructionForm.Branch => &Handlers<T, TDispatch>.BranchAhead,
                InstructionForm.Jump => &Handlers<T, TDispatch>.Jump,
                InstructionForm.JumpRegister => &Handlers<T, TDispatch>.JumpRegister,
                InstructionForm.System => &Handlers<T, TDispatch>.System,
                _ => &Handlers<T, TDispatch>.Plain,
            };
            table._handlers[index] = (nint)handler;
            if (T.Encoding.Form == InstructionForm.Branch)
                table._branchesBack[index] = (nint)(delegate*<Hart, Op*, InterpreterContext*, long, long>)&Handlers<T, TDispatch>.BranchBack;
        }
    }
}
