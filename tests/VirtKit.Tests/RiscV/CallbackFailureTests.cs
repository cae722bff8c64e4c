using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A callback of the host's that throws: the run ends and says so, nobody waits for the vCPU, and the guest can go on where it was.</summary>
public sealed class CallbackFailureTests
{
    private const string Print = "li a7, 0x4442434e\nli a6, 2\nli a0, 65\naddi s0, s0, 1\necall\naddi s1, s1, 1";

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_CallbackThrows_EndsAtTheInstructionThatCalled(string engine)
    {
        var console = new ThrowingConsole { Throws = true };
        using var m = new BareMachine(engine, $"{Print}\nwfi\nwfi", sbi: new SbiOptions(), console: console);
        VcpuExit exit = m.Vcpu.Run(100);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains(ThrowingConsole.Message, exit.Detail, StringComparison.Ordinal);
        RiscVState state = m.State;
        Assert.Equal((1UL, 0UL, m.Vcpu.Counters.Retired), (state.X[8], state.X[9], (state.Pc - BareMachine.Ram) / 4));
        console.Throws = false;
        Assert.Equal((1UL, 1UL), (m.RunToWait().X[8], m.State.X[9]));
        Assert.Equal(1, console.Written);
    }

    /// <summary>With a budget that ends inside the block, the translator runs it by the interpreter's handlers.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_CallbackThrowsAtABudgetsEnd_EndsAtTheInstructionThatCalled(string engine)
    {
        var console = new ThrowingConsole { Throws = true };
        using var m = new BareMachine(engine, $"{Print}\nwfi\nwfi", sbi: new SbiOptions(), console: console);
        ulong before;
        VcpuExit exit;
        do
        {
            before = m.Vcpu.Counters.Retired;
            exit = m.Vcpu.Run(1);
        }
        while (exit.Reason == ExitReason.BudgetExhausted);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Equal((before, 1UL, 0UL), (m.Vcpu.Counters.Retired, m.State.X[8], m.State.X[9]));
        console.Throws = false;
        Assert.Equal(1UL, m.RunToWait().X[9]);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task MachineRun_CallbackThrowsWhileAnotherHartFences_Ends(string engine)
    {
        var console = new ThrowingConsole();
        using var m = new BareMachine(engine, $"""
            csrr s2, time
            bnez a0, fence
            print: {Print}
            j print
            fence: li a7, 0x52464e43
            li a6, 1
            li a0, 1
            li a1, 0
            li a2, 0
            li a3, -1
            ecall
            addi s3, s3, 1
            j fence
            """, vcpus: 2, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads, console: console);
        RiscVState second = m.Machine.Vcpus[1].GetState<RiscVState>();
        (second.Started, second.Mcounteren) = (true, 7);
        m.Machine.Vcpus[1].SetState(second);
        RiscVState first = m.State;
        first.Mcounteren = 7;
        m.State = first;
        Task<VcpuExit> run = m.Machine.RunAsync(TestContext.Current.CancellationToken);
        while (Volatile.Read(ref console.Calls) < 100)
            await Task.Yield();
        console.Throws = true;
        VcpuExit exit = await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains(ThrowingConsole.Message, exit.Detail, StringComparison.Ordinal);
    }

    private sealed class ThrowingConsole : ISbiConsole
    {
        public const string Message = "The host's stream is gone.";

        public int Calls;

        public volatile bool Throws;

        public int Written { get; private set; }

        public void Write(ReadOnlySpan<byte> bytes)
        {
            Interlocked.Increment(ref Calls);
            if (Throws)
                throw new NotSupportedException(Message);
            Written += bytes.Length;
        }

        public int Read(Span<byte> buffer) => 0;
    }
}
