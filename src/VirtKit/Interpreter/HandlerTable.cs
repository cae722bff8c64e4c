using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>The handlers of an instruction set for one way of dispatch.</summary>
internal sealed unsafe class HandlerTable
{
    private readonly FunctionTable _handlers;
    private readonly FunctionTable _branchesBack;
    private readonly FirstOfPair[] _pairs;

    private HandlerTable(FunctionTable handlers, FunctionTable branchesBack, FirstOfPair[] pairs)
    {
        _handlers = handlers;
        _branchesBack = branchesBack;
        _pairs = pairs;
    }

    public nint FallThrough { get; private init; }

    public nint Unlinked { get; private init; }

    public nint OtherPage { get; private init; }

    public nint Illegal { get; private init; }

    /// <summary>The table that all machines with this set share. Any thread.</summary>
    public static HandlerTable Of<TDispatch>(GuestInstructions set) where TDispatch : struct, IDispatch => set.Table<TDispatch, HandlerTable>(Create<TDispatch>);

    private static HandlerTable Create<TDispatch>(GuestInstructions set) where TDispatch : struct, IDispatch =>
        new(new FunctionTable(set, new Forward<TDispatch>()), new FunctionTable(set, new Backward<TDispatch>()), (set as IHandlerPairs)?.FirstsOfPairs<TDispatch>() ?? [])
        {
            FallThrough = (nint)(delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.FallThrough,
            Unlinked = (nint)(delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.Unlinked,
            OtherPage = (nint)(delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.OtherPage,
            Illegal = (nint)(delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)&ControlHandlers<TDispatch>.Illegal,
        };

    /// <summary>The handler of a row that was decoded; of a branch that lies ahead or does not, see <see cref="Handlers{TFirst, T, TDispatch}"/>.</summary>
    public nint Of(int row, bool branchesBack) => branchesBack ? _branchesBack[row] : _handlers[row];

    /// <summary>The handler that does what these two do one after the other, or 0.</summary>
    public nint OfPair(delegate*<GuestCpu, Op*, InterpreterContext*, long, long> first, delegate*<GuestCpu, Op*, InterpreterContext*, long, long> second)
    {
        foreach (ref FirstOfPair begin in _pairs.AsSpan())
        {
            if ((nint)begin.Handler != (nint)first)
                continue;
            foreach (ref readonly HandlerPair pair in begin.Pairs.AsSpan())
            {
                if ((nint)pair.Second == (nint)second)
                    return (nint)pair.Both;
            }
        }

        return 0;
    }

    private sealed class Forward<TDispatch> : IInstructionFunctions where TDispatch : struct, IDispatch
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction
        {
            delegate*<GuestCpu, Op*, InterpreterContext*, long, long> handler = form switch
            {
                InstructionForm.Complex => &Handlers<Nothing, T, TDispatch>.PlainCalled,
                InstructionForm.Branch => &Handlers<Nothing, T, TDispatch>.Branch<Ahead>,
                InstructionForm.Jump => &Handlers<Nothing, T, TDispatch>.Jump,
                InstructionForm.JumpRegister => &Handlers<Nothing, T, TDispatch>.JumpRegister,
                InstructionForm.System => &Handlers<Nothing, T, TDispatch>.System,
                _ => &Handlers<Nothing, T, TDispatch>.Plain,
            };
            return (nint)handler;
        }
    }

    /// <summary>Only of branches.</summary>
    private sealed class Backward<TDispatch> : IInstructionFunctions where TDispatch : struct, IDispatch
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction =>
            (nint)(delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)&Handlers<Nothing, T, TDispatch>.Branch<Back>;
    }
}
