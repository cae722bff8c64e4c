using VirtKit.Accel.Translator;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

public sealed class TranslatorCoreTests
{
    private const uint Nop = 0x00000013, FenceI = 0x0000100f, SelfLoop = 0x0000006f, Ret = 0x00008067;

    [Theory]
    [InlineData(1UL)]
    [InlineData(7UL)]
    [InlineData(64UL)]
    [InlineData(1000UL)]
    public void Run_ALoopWithABudget_StopsAtTheVeryInstruction(ulong budget)
    {
        // addi a0, a0, 1; addi s2, s2, 1; j -8.
        using Machine machine = GuestCode.Load(GuestCode.Options(), 0x00150513, 0x00190913, 0xff9ff06f);
        for (ulong total = budget; total < 4 * budget; total += budget)
        {
            Assert.Equal(ExitReason.BudgetExhausted, machine.Vcpus[0].Run(budget).Reason);
            Assert.Equal(total, machine.Vcpus[0].Counters.Retired);
            Assert.Equal((total + 2) / 3, machine.X(10));
            Assert.Equal((total + 1) / 3, machine.X(18));
            Assert.Equal(GuestCode.Start + total % 3 * 4, machine.Vcpus[0].GetState<RiscVState>().Pc);
        }
    }

    [Fact]
    public async Task Run_AnEndlessLoop_ComesBackWhenKicked()
    {
        using Machine machine = GuestCode.Load(GuestCode.Options(), SelfLoop);
        Task<VcpuExit> run = Task.Run(() => machine.Vcpus[0].Run());
        while (!run.IsCompleted && machine.Vcpus[0].Counters.Exits == 0)
        {
            await Task.Delay(20);
            machine.Vcpus[0].Kick();
        }

        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit)).Reason);
    }

    [Fact]
    public void Run_CodeThatChangesItself_ShowsAfterFenceI()
    {
        // The addend of the fifth instruction changes in every round: lw t1, 0(a2); sw t1, 16(a1); fence.i; nop; addi a0, a0, 1; addi a2, a2, 4; addi a3, a3, -1; bnez a3, -28; j .
        using Machine machine = GuestCode.Load(GuestCode.Options(),
            0x00062303, 0x0065a823, FenceI, Nop, 0x00150513, 0x00460613, 0xfff68693, 0xfe0692e3, SelfLoop);
        var patches = new uint[100];
        for (int i = 0; i < patches.Length; i++)
            patches[i] = 0x00050513 | (uint)i << 20;
        GuestCode.Write(machine, GuestCode.Start + 0x2000, patches);
        RiscVState state = machine.Vcpus[0].GetState<RiscVState>();
        state.X[11] = GuestCode.Start;
        state.X[12] = GuestCode.Start + 0x2000;
        state.X[13] = 100;
        machine.Vcpus[0].SetState(state);
        machine.Vcpus[0].Run(100 * 8);
        Assert.Equal(4950UL, machine.X(10));
        Assert.Equal(0UL, machine.X(13));
    }

    [Fact]
    public void Run_MoreCodeThanTheCacheHolds_DropsAndGoesOn()
    {
        // Pages of different code, each called in turn: every round translates all of it anew.
        const int Functions = 250, Rounds = 40;
        // outer: mv t1, a1; mv t2, a2; inner: jalr t1; add t1, t1, a3; addi t2, t2, -1; bnez t2, inner; addi a4, a4, -1; bnez a4, outer; j .
        using Machine machine = GuestCode.Load(GuestCode.Options(cacheSize: TranslatorOptions.MinCodeCacheSize),
            0x00058313, 0x00060393, 0x000300e7, 0x00d30333, 0xfff38393, 0xfe039ae3, 0xfff70713, 0xfe0712e3, SelfLoop);
        var body = new uint[255];
        for (int i = 0; i < body.Length - 1; i++)
            body[i] = i % 2 == 0 ? 0x0005b283u : 0x00150513u; // ld t0, 0(a1); addi a0, a0, 1
        body[^1] = Ret;
        for (int i = 0; i < Functions; i++)
            GuestCode.Write(machine, GuestCode.Start + 0x1000 + (ulong)i * 0x1000, body);
        RiscVState state = machine.Vcpus[0].GetState<RiscVState>();
        state.X[11] = GuestCode.Start + 0x1000;
        state.X[12] = Functions;
        state.X[13] = 0x1000;
        state.X[14] = Rounds;
        machine.Vcpus[0].SetState(state);
        machine.Vcpus[0].Run(Rounds * (Functions * (255 + 4) + 4) + 100);
        Assert.Equal(0UL, machine.X(14));
        Assert.Equal(127UL * Functions * Rounds, machine.X(10));
    }

    [Fact]
    public void Run_CodeThatChangesItselfWithoutFenceI_IsWhatCrossCheckFinds()
    {
        // addi a0, a0, 1; sw a1, 0(a2) over the first one; j -8: the translation goes on adding 1, the bytes say 2.
        MachineOptions options = GuestCode.Options() with { Engine = new TranslatorEngine(new TranslatorOptions { CrossCheck = true }) };
        using Machine machine = GuestCode.Load(options, 0x00150513, 0x00b62023, 0xff9ff06f);
        RiscVState state = machine.Vcpus[0].GetState<RiscVState>();
        state.X[11] = 0x00250513;
        state.X[12] = GuestCode.Start;
        machine.Vcpus[0].SetState(state);
        VcpuExit exit = machine.Vcpus[0].Run(100);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("x10 is 2, not 3", exit.Detail, StringComparison.Ordinal);
        Assert.Contains("00250513  addi a0,a0,2", exit.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Supports_AnArchitectureThatIsNotRiscV_SaysSo()
    {
        Assert.False(new TranslatorEngine().Supports(new Support.FakeArchitecture(), out string? reason));
        Assert.NotNull(reason);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(TranslatorOptions.MinCodeCacheSize - 1)]
    [InlineData(TranslatorOptions.MaxCodeCacheSize + 1)]
    public void Constructor_WithACacheOutOfRange_Throws(int size) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new TranslatorEngine(new TranslatorOptions { CodeCacheSize = size }));

    [Fact]
    public void Run_TranslatedCode_IsNowhereWritableAndExecutable()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("/proc is Linux's");
        using Machine machine = GuestCode.Load(GuestCode.Options(), SelfLoop);
        machine.Vcpus[0].Run(1000);
        string[] maps = File.ReadAllLines("/proc/self/maps");
        Assert.Contains(maps, line => line.Contains("r-xs", StringComparison.Ordinal) && line.Contains("virtkit-code", StringComparison.Ordinal));
        Assert.DoesNotContain(maps, line => line.Contains("virtkit-code", StringComparison.Ordinal) && line.Contains("wx", StringComparison.Ordinal));
    }
}
