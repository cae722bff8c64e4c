namespace VirtKit.Execution;

/// <summary>The functions of one family (handlers, recorders, fallbacks) by row, each made when it is first needed: the JIT compiles something for each of them, and a guest
/// uses few. Threads may share it.</summary>
internal sealed class FunctionTable(GuestInstructions set, IInstructionFunctions functions)
{
    private readonly nint[] _functions = new nint[set.MaxRows];

    public nint this[int row]
    {
        get
        {
            nint function = _functions[row];
            return function != 0 ? function : _functions[row] = set.Choose(row, functions);
        }
    }
}
