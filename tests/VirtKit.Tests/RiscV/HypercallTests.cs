using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Calls of the host's own, by an ECALL to the extension that belongs to it.</summary>
public sealed class HypercallTests
{
    private static readonly SbiOptions Sbi = new() { Hypercalls = true };

    private const string Add = """
        li a7, 0x0a00564b
        li a6, 7
        li a0, 30
        li a1, 12
        li a2, 1
        li a3, 2
        li a4, 3
        li a5, 4
        ecall
        mv s0, a0
        mv s1, a1
        end: wfi
        j end
        """;

    public static TheoryData<string> Engines => RiscVEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Ecall_ThatTheHandlerAnswers_GoesOnInTheGuest(string engine)
    {
        var handler = new Handler((vcpu, call) => $"{vcpu}: {call.Number} ({string.Join(' ', call.Arguments.ToArray())})", call => call.Arguments[0] + call.Arguments[1]);
        using var guest = new BareMachine(engine, Add, sbi: Sbi);
        guest.Machine.Hypercalls = handler;
        RiscVState state = guest.RunToWait();
        Assert.Equal((0UL, 42UL), (state.X[8], state.X[9]));
        Assert.Equal(["0: 7 (30 12 1 2 3 4)"], handler.Calls);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Ecall_ThatNobodyAnswers_IsAnExitBehindTheInstruction(string engine)
    {
        foreach (IHypercallHandler? handler in (IHypercallHandler?[])[null, new Handler((_, _) => "", _ => null)])
        {
            using var guest = new BareMachine(engine, Add, sbi: Sbi);
            guest.Machine.Hypercalls = handler;
            Assert.Equal(new VcpuExit(ExitReason.Hypercall, 7), guest.Machine.Run(TestContext.Current.CancellationToken));
            RiscVState state = guest.State;
            Assert.Equal((30UL, 12UL, 4UL), (state.X[10], state.X[11], state.X[15]));
            (state.X[10], state.X[11]) = (0, 99);
            guest.State = state;
            Assert.Equal(99UL, guest.RunToWait().X[9]);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Ecall_AtTheEndOfABudget_IsTheNextExit(string engine)
    {
        ulong before = 0;
        using (var whole = new BareMachine(engine, Add, sbi: Sbi))
        {
            whole.Machine.Run(TestContext.Current.CancellationToken);
            before = whole.Vcpu.Counters.Retired;
        }

        using var guest = new BareMachine(engine, Add, sbi: Sbi);
        Assert.Equal(ExitReason.BudgetExhausted, guest.Machine.Run(before, TestContext.Current.CancellationToken).Reason);
        Assert.Equal(new VcpuExit(ExitReason.Hypercall, 7), guest.Machine.Run(1000, TestContext.Current.CancellationToken));
        Assert.Equal(before, guest.Vcpu.Counters.Retired);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Ecall_WhoseHandlerThrows_IsAnInternalErrorThatNamesTheCall(string engine)
    {
        using var guest = new BareMachine(engine, Add, sbi: Sbi);
        guest.Machine.Hypercalls = new Handler((_, _) => throw new InvalidOperationException("out of order"), _ => 0);
        VcpuExit exit = guest.Machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal((ExitReason.InternalError, 7UL), (exit.Reason, exit.Code));
        Assert.Contains("out of order", exit.Detail, StringComparison.Ordinal);
        Assert.Equal(ExitReason.Halted, guest.Machine.Run(TestContext.Current.CancellationToken).Reason);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Extension_IsThereWhereTheOptionsSaySo(string engine)
    {
        const string Probe = """
            li a7, 0x10
            li a6, 3
            li a0, 0x0a00564b
            ecall
            mv s0, a1
            li a7, 0x0a00564b
            li a6, 1
            ecall
            mv s1, a0
            end: wfi
            j end
            """;
        using (var without = new BareMachine(engine, Probe, sbi: new SbiOptions()))
        {
            without.Machine.Hypercalls = new Handler((_, _) => "", _ => 0);
            RiscVState state = without.RunToWait();
            Assert.Equal((0UL, unchecked((ulong)-2L)), (state.X[8], state.X[9]));
        }

        using var with = new BareMachine(engine, Probe, sbi: Sbi);
        with.Machine.Hypercalls = new Handler((_, _) => "", _ => 0);
        Assert.Equal((1UL, 0UL), (with.RunToWait().X[8], with.State.X[9]));
    }

    private sealed class Handler(Handler.Describe describe, Handler.Answer answer) : IHypercallHandler
    {
        public delegate string Describe(int vcpu, Hypercall call);

        public delegate ulong? Answer(Hypercall call);

        public List<string> Calls { get; } = [];

        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            Calls.Add(describe(vcpu, call));
            result = answer(call) ?? 0;
            return answer(call) is not null;
        }
    }
}
