using VirtKit.Accel.Translator;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.RiscV;

/// <summary>A vCPU that waits for another one, which is in a callback of the host and does not come out of it, still stops when it is asked to.</summary>
public sealed class StopWhileWaitingTests
{
    private const ulong Device = 0x1000_0000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(50);

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Kick_OfAHartThatFencesAHartInACallback_IsHeard(string engine)
    {
        using var held = new HeldGuest(new BareMachine(engine, $"""
            bnez a0, fence
            li t0, {Device}
            lw t1, 0(t0)
            addi s0, s0, 1
            wfi
            wfi
            fence: li a7, 0x52464e43
            li a6, 1
            li a0, 1
            li a1, 0
            li a2, 0
            li a3, -1
            addi s0, s0, 1
            ecall
            addi s1, s1, 1
            wfi
            wfi
            """, vcpus: 2, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads));
        Task<VcpuExit> fence = held.Run(1);
        Assert.Equal(ExitReason.Kicked, (await held.KickBehind(9, 1, fence)).Reason);
        // The fence was not done, so its call is done again.
        RiscVState state = held.Machine.Vcpus[1].GetState<RiscVState>();
        Assert.Equal((1UL, 0UL), (state.X[8], state.X[9]));
        held.LetGo();
        Assert.Equal(ExitReason.Halted, (await held.Run(1).WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        Assert.Equal((0UL, 1UL), (held.Machine.Vcpus[1].GetState<RiscVState>().X[10], held.Machine.Vcpus[1].GetState<RiscVState>().X[9]));
        Assert.Equal(ExitReason.Halted, (await held.First.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
    }

    /// <summary>Hart 1 evicts and waits for hart 0, hart 2 waits for hart 1 to have done.</summary>
    [Fact]
    public async Task Kick_OfHartsThatEvictOrWaitForOneThatDoes_IsHeard()
    {
        Translators.Require();
        var engine = new OpenTranslator(new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize });
        using var held = new HeldGuest(new BareMachine(engine, $"""
            bnez a0, code
            li t0, {Device}
            lw t1, 0(t0)
            wfi
            wfi
            code: slli t0, a0, 20
            li s2, {BareMachine.Ram}
            add s2, s2, t0
            again: jalr ra, 0(s2)
            addi s1, s1, 1
            j again
            """, vcpus: 3, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads));
        var blocks = new uint[0x2_0000];
        for (int i = 0; i < blocks.Length; i += 2)
            (blocks[i], blocks[i + 1]) = (0x00150513, 0x0040006f);
        blocks[^1] = 0x00008067;
        foreach (ulong hart in (ReadOnlySpan<ulong>)[1, 2])
            held.Machine.Memory.Write(new Gpa(BareMachine.Ram + (hart << 20)), System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(blocks));
        Task<VcpuExit>[] runs = [held.Run(1), held.Run(2)];
        long evictions = engine.Partition!.Cache.Epoch;
        while (engine.Partition.Cache.Epoch == evictions)
            await Task.Yield();
        foreach (int hart in (int[])[1, 2])
            Assert.Equal(ExitReason.Kicked, (await held.KickBehind(1, hart, runs[hart - 1])).Reason);
        Assert.Equal(0, engine.Partition.Cache.Counts.Evictions);
        held.LetGo();
        Assert.Equal(ExitReason.Halted, (await held.First.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        runs = [held.Run(1), held.Run(2)];
        while (engine.Partition.Cache.Counts.Evictions < 3)
            await Task.Yield();
        foreach (int hart in (int[])[1, 2])
            Assert.Equal(ExitReason.Kicked, (await held.KickBehind(1, hart, runs[hart - 1])).Reason);
    }

    /// <summary>A machine whose hart 0 is in a device's callback until it is let go. The cores run on threads of their own, as VcpuScheduling.Threads has it.</summary>
    private sealed class HeldGuest : IDisposable
    {
        private readonly BareMachine _machine;
        private readonly ManualResetEventSlim _letGo = new(), _isHeld = new();

        public HeldGuest(BareMachine machine)
        {
            _machine = machine;
            Machine.Memory.Map(new Gpa(Device), new FakeDevice
            {
                OnRead = (_, _) =>
                {
                    _isHeld.Set();
                    _letGo.Wait();
                    return 0;
                },
            });
            foreach (Vcpu vcpu in Machine.Vcpus)
            {
                RiscVState state = vcpu.GetState<RiscVState>();
                state.Started = true;
                vcpu.SetState(state);
            }

            First = Run(0);
            Assert.True(_isHeld.Wait(Limit), "Hart 0 does not reach the device.");
        }

        public Machine Machine => _machine.Machine;

        public Task<VcpuExit> First { get; }

        public Task<VcpuExit> Run(int hart) => Task.Factory.StartNew(() => Machine.Vcpus[hart].Core.Run(ulong.MaxValue), TaskCreationOptions.LongRunning);

        /// <summary>Kicks once so many instructions have retired: a kick at once would end the run before it began.</summary>
        public async Task<VcpuExit> KickBehind(ulong retired, int hart, Task<VcpuExit> run)
        {
            while (Machine.Vcpus[hart].Counters.Retired < retired && !run.IsCompleted)
                await Task.Yield();
            Machine.Vcpus[hart].Core.RequestExit();
            return await run.WaitAsync(Limit, TestContext.Current.CancellationToken);
        }

        public void LetGo() => _letGo.Set();

        public void Dispose()
        {
            _letGo.Set();
            _machine.Dispose();
        }
    }
}
