using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Whether handlers really end in jumps here. In unoptimized code (a debugger may force it) they would be calls, and a guest could run the host's stack over.</summary>
internal static unsafe class TailCallProbe
{
    /// <summary>Runs a short and a long chain and compares how deep on the stack their ends lie.</summary>
    public static bool TailCallsWork() => DepthOfChain(1) == DepthOfChain(40);

    private static long DepthOfChain(int length)
    {
        Op* ops = stackalloc Op[41];
        var context = stackalloc InterpreterContext[2];
        for (int i = 0; i < length; i++)
        {
            ops[i] = default;
            ops[i].Handler = &Handlers<Nothing, Increment, TailDispatch>.Plain;
        }

        ops[length].Handler = &End;
        return Start(ops, context);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Start(Op* op, InterpreterContext* c) => op->Handler(null!, op, c, 0) + 0 * (long)c;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long End(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        long here = 0;
        return (long)&here;
    }

    /// <summary>An instruction for the probe.</summary>
    private readonly struct Increment : IInstruction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, b.Add(b.Read(o.Rs1), b.Constant(1)));
    }
}
