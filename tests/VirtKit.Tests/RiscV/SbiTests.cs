using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>SBI 2.0 as a guest in S-mode sees it.</summary>
public sealed class SbiTests
{
    private const long Failed = -1, NotSupported = -2, InvalidParameter = -3, InvalidAddress = -5, AlreadyAvailable = -6;
    private const ulong Base = 0x10, Time = 0x54494d45, Ipi = 0x735049, Fence = 0x52464e43, Hsm = 0x48534d, Reset = 0x53525354, Console = 0x4442434e;

    private static readonly string Caller = $"""
        again: ecall
        wfi
        j again
        .org {BareMachine.Ram + 0x100}
        second: mv s0, a1
        mv s1, a0
        wfi
        j second
        """;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Calls_WithGoodAndBadArguments_AnswerAsTheSpecificationSays(string engine)
    {
        using var m = new BareMachine(engine, Caller, vcpus: 2, sbi: new SbiOptions());
        Assert.Equal((0L, 2UL << 24), Call(m, Base, 0));
        foreach (ulong extension in (ReadOnlySpan<ulong>)[Base, Time, Ipi, Fence, Hsm, Reset])
            Assert.Equal((0L, 1UL), Call(m, Base, 3, extension));
        Assert.Equal((0L, 0UL), Call(m, Base, 3, Console));
        Assert.Equal(NotSupported, Call(m, Base, 7).Error);
        Assert.Equal(NotSupported, Call(m, 0x12345, 0).Error);
        Assert.Equal(NotSupported, Call(m, Console, 0).Error);
        Assert.Equal(0, Call(m, Ipi, 0, 2).Error);
        Assert.Equal(0, Call(m, Ipi, 0, 0, ulong.MaxValue).Error);
        Assert.Equal(InvalidParameter, Call(m, Ipi, 0, 4).Error);
        Assert.Equal(InvalidParameter, Call(m, Ipi, 0, 1UL << 63, ulong.MaxValue - 1).Error);
        Assert.Equal(0, Call(m, Fence, 0, 3).Error);
        Assert.Equal(0, Call(m, Fence, 1, 3, 0, 0, ulong.MaxValue).Error);
        Assert.Equal(NotSupported, Call(m, Fence, 3, 3).Error);
        Assert.Equal(InvalidParameter, Call(m, Reset, 0, 3, 0).Error);
        Assert.Equal(InvalidParameter, Call(m, Reset, 0, 0, 2).Error);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void HartState_StartStopSuspend_FollowsTheStateMachine(string engine)
    {
        using var m = new BareMachine(engine, Caller, vcpus: 2, sbi: new SbiOptions());
        Vcpu second = m.Machine.Vcpus[1];
        RiscVState state = second.GetState<RiscVState>();
        state.Started = false;
        second.SetState(state);
        Assert.Equal((0L, 1UL), Call(m, Hsm, 2, 1));
        Assert.Equal(ExitReason.Halted, second.Run(10).Reason);
        Assert.Equal(InvalidAddress, Call(m, Hsm, 0, 1, 0x1000).Error);
        Assert.Equal(InvalidParameter, Call(m, Hsm, 0, 2, m["second"]).Error);
        Assert.Equal(0, Call(m, Hsm, 0, 1, m["second"], 77).Error);
        Assert.Equal((0L, 2UL), Call(m, Hsm, 2, 1));
        Assert.Equal(AlreadyAvailable, Call(m, Hsm, 0, 1, m["second"], 78).Error);
        Assert.Equal(ExitReason.Halted, second.Run(100).Reason);
        Assert.Equal((0L, 0UL), Call(m, Hsm, 2, 1));
        state = second.GetState<RiscVState>();
        Assert.Equal((77UL, 1UL, PrivilegeMode.Supervisor), (state.X[8], state.X[9], state.Privilege));
        Assert.Equal(InvalidParameter, Call(m, Hsm, 3, 1).Error);
        Assert.Equal(InvalidAddress, Call(m, Hsm, 3, 0x8000_0000, 0x10).Error);
        Assert.Equal(NotSupported, Call(m, Hsm, 4).Error);
        // Stops itself: its ecall does not return, and then it may be started again.
        (state.Pc, state.Waiting, state.X[16], state.X[17]) = (m["again"], false, 1, Hsm);
        second.SetState(state);
        Assert.Equal(ExitReason.Halted, second.Run(100).Reason);
        Assert.Equal((0L, 1UL), Call(m, Hsm, 2, 1));
        Assert.Equal(0, Call(m, Hsm, 0, 1, m["second"], 79).Error);
        second.Run(100);
        Assert.Equal(79UL, second.GetState<RiscVState>().X[8]);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void DebugConsole_WithHostilePointers_RefusesThem(string engine)
    {
        var console = new Recorder();
        using var m = new BareMachine(engine, Caller, sbi: new SbiOptions(), console: console);
        m.Write(BareMachine.Ram + 0x1000, 0x6f6c6c6568);
        Assert.Equal((0L, 5UL), Call(m, Console, 0, 5, BareMachine.Ram + 0x1000));
        Assert.Equal("hello"u8.ToArray(), console.Written);
        Assert.Equal((0L, 0UL), Call(m, Console, 0, 0, BareMachine.Ram));
        Assert.Equal(InvalidParameter, Call(m, Console, 0, 5, 0).Error);
        Assert.Equal(InvalidParameter, Call(m, Console, 0, 5, BareMachine.Ram, 1).Error);
        Assert.Equal(InvalidParameter, Call(m, Console, 0, 16, BareMachine.Ram + BareMachine.Size - 8).Error);
        Assert.Equal(InvalidParameter, Call(m, Console, 1, ulong.MaxValue, ulong.MaxValue - 4).Error);
        Assert.InRange(Call(m, Console, 0, ulong.MaxValue, BareMachine.Ram).Value, 1UL, 4096UL);
        Assert.Equal((0L, 2UL), Call(m, Console, 1, 8, BareMachine.Ram + 0x2000));
        Assert.Equal(0x6968UL, m.Read(BareMachine.Ram + 0x2000));
        Assert.Equal(NotSupported, Call(m, Console, 3).Error);
    }

    /// <summary>A console without room is not waited for: the guest learns how much was taken (SBI §12.1), and goes on with the rest.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void DebugConsole_WithLittleRoom_TakesAPart(string engine)
    {
        var console = new MemoryConsole(capacity: 3, ConsoleOverflow.Wait);
        using var m = new BareMachine(engine, Caller, sbi: new SbiOptions(), console: new SbiConsole(console, new VirtKit.Testing.TestClock()));
        m.Write(BareMachine.Ram + 0x1000, 0x6f6c6c6568);
        Assert.Equal((0L, 3UL), Call(m, Console, 0, 5, BareMachine.Ram + 0x1000));
        Assert.Equal((0L, 0UL), Call(m, Console, 0, 2, BareMachine.Ram + 0x1003));
        Assert.Equal(Failed, Call(m, Console, 2, 'x').Error);
        Assert.Equal("hel"u8.ToArray(), console.TakeOutput());
        Assert.Equal((0L, 2UL), Call(m, Console, 0, 2, BareMachine.Ram + 0x1003));
        Assert.Equal((0L, 0UL), Call(m, Console, 2, 'x'));
        Assert.Equal("lox"u8.ToArray(), console.TakeOutput());
    }

    private static (long Error, ulong Value) Call(BareMachine m, ulong extension, ulong function, params ReadOnlySpan<ulong> arguments)
    {
        RiscVState state = m.State;
        (state.Pc, state.Waiting, state.X[16], state.X[17], state.Mie) = (m["again"], false, function, extension, 0);
        for (int i = 0; i < 5; i++)
            state.X[10 + i] = i < arguments.Length ? arguments[i] : 0;
        m.State = state;
        state = m.RunToWait();
        return ((long)state.X[10], state.X[11]);
    }

    private sealed class Recorder : ISbiConsole
    {
        private bool _read;

        public byte[] Written { get; private set; } = [];

        public void Write(ReadOnlySpan<byte> bytes) => Written = bytes.ToArray();

        public int Read(Span<byte> buffer)
        {
            if (_read)
                return 0;
            _read = true;
            "hi"u8.CopyTo(buffer);
            return 2;
        }
    }
}
