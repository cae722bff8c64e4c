using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>The pairs of neighbouring instructions, chosen by the ISA, for which one handler executes both. Their meanings are those of their definitions; only the dispatch between them is saved.</summary>
internal interface IHandlerPairs
{
    /// <summary>The handlers that pairs begin with.</summary>
    FirstOfPair[] FirstsOfPairs<TDispatch>() where TDispatch : struct, IDispatch;
}

/// <summary>Two handlers one after the other.</summary>
/// <param name="second">The second one.</param>
/// <param name="both">What does both.</param>
internal readonly unsafe struct HandlerPair(delegate*<GuestCpu, Op*, InterpreterContext*, long, long> second, delegate*<GuestCpu, Op*, InterpreterContext*, long, long> both)
{
    public readonly delegate*<GuestCpu, Op*, InterpreterContext*, long, long> Second = second, Both = both;
}

/// <summary>A handler that pairs begin with.</summary>
/// <param name="handler">The handler.</param>
/// <param name="pairs">Gives the pairs: when the first one is looked up, for the runtime loads something for every handler that it names.</param>
internal unsafe struct FirstOfPair(delegate*<GuestCpu, Op*, InterpreterContext*, long, long> handler, delegate*<HandlerPair[]> pairs)
{
    public readonly delegate*<GuestCpu, Op*, InterpreterContext*, long, long> Handler = handler;

    private readonly delegate*<HandlerPair[]> _make = pairs;
    private HandlerPair[]? _pairs;

    /// <summary>The pairs. Threads may make them at the same time; they are the same.</summary>
    public HandlerPair[] Pairs => _pairs ??= _make();
}
