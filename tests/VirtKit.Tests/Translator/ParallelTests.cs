using VirtKit.Accel.Translator;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>vCPUs on threads of their own, over one code cache.</summary>
public sealed class ParallelTests
{
    private const uint Wfi = 0x10500073, SelfLoop = 0x0000006f;

    /// <summary>amoadd, amoswap-free increments of both kinds and LR/SC: nothing may be lost.</summary>
    [Fact]
    public async Task Atomics_OfFourHarts_LoseNothing()
    {
        const int Harts = 4;
        const ulong Rounds = 20_000;
        // loop: amoadd.d x0, t0, (a1); amoadd.w t1, t0, 8(a1)->(a2); retry: lr.d t1, (a3); add t1, t1, t0; sc.d t2, t1, (a3); bnez t2, retry;
        // amomaxu.d x0, a0, (a4); addi a0, a0, -1; bnez a0, loop; wfi; j -4
        uint[] words =
        [
            0x0055b02f, 0x0056232f, 0x1006b32f, 0x00530333, 0x1866b3af, 0xfe039ae3, 0xe0a7302f, 0xfff50513, 0xfe0510e3, Wfi, 0xffdff06f,
        ];
        using Machine machine = GuestCode.Load(GuestCode.Options(Harts), words);
        foreach (Vcpu vcpu in machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            state.X[5] = 1;
            state.X[10] = Rounds;
            for (int i = 0; i < 4; i++)
                state.X[11 + i] = GuestCode.Start + 0x8000 + (ulong)i * 64;
            vcpu.SetState(state);
        }

        Task<VcpuExit> run = machine.RunAsync();
        await WaitFor(() => machine.Vcpus.All(v => !v.Core.HasWork));
        machine.RequestShutdown(0);
        await run.WaitAsync(Hang.Limit);
        Assert.Equal(Harts * Rounds, Word(machine, 0));
        Assert.Equal(Harts * Rounds, Word(machine, 64));
        Assert.Equal(Harts * Rounds, Word(machine, 128));
        Assert.Equal(Rounds, Word(machine, 192));
    }

    /// <summary>Store buffering: with a fence between each hart's store and load, not both can read the old value.</summary>
    [Fact]
    public async Task StoreBuffering_WithFences_IsNeverSeen()
    {
        // Hart 0 and 1 meet in a0's round: x = round; fence; read y. Afterwards the other's value is kept: one of the two has to be the round.
        // loop: sd a0, 0(a1); fence; ld t1, 0(a2); sd t1, 0(a3); addi a3, a3, 8;
        //       amoadd.d x0, s1, (a4); wait: ld t2, 0(a4); bltu t2, a5, wait; addi a5, a5, 2; addi a0, a0, 1; bne a0, a6, loop; wfi; j -4
        const ulong Rounds = 5000;
        uint[] words =
        [
            0x00a5b023, 0x0330000f, 0x00063303, 0x0066b023, 0x00868693, 0x0097302f, 0x00073383, 0xfef3eee3, 0x00278793, 0x00150513, 0xfd051ce3, Wfi, 0xffdff06f,
        ];
        using Machine machine = GuestCode.Load(GuestCode.Options(2), words);
        for (int i = 0; i < 2; i++)
        {
            RiscVState state = machine.Vcpus[i].GetState<RiscVState>();
            state.X[9] = 1;
            state.X[10] = 1;
            state.X[11] = GuestCode.Start + 0x8000 + (ulong)i * 64;
            state.X[12] = GuestCode.Start + 0x8000 + (ulong)(1 - i) * 64;
            state.X[13] = GuestCode.Start + 0x10000 + (ulong)i * 0x20000;
            state.X[14] = GuestCode.Start + 0x8100;
            state.X[15] = 2;
            state.X[16] = Rounds + 1;
            machine.Vcpus[i].SetState(state);
        }

        Task<VcpuExit> run = machine.RunAsync();
        await WaitFor(() => machine.Vcpus.All(v => !v.Core.HasWork));
        machine.RequestShutdown(0);
        await run.WaitAsync(Hang.Limit);
        for (ulong round = 1; round <= Rounds; round++)
        {
            ulong first = Word(machine, 0x8000 + (round - 1) * 8), second = Word(machine, 0x28000 + (round - 1) * 8);
            Assert.True(first >= round || second >= round, $"Round {round}: {first}, {second}");
        }
    }

    /// <summary>One hart rewrites the code that the others run, while the cache is too small for all of it.</summary>
    [Fact]
    public async Task CodeWrittenByAnotherHart_WhileItRuns_IsOneVersionOrAnother()
    {
        const int Harts = 3;
        // Runners: fence.i; jalr a1; bltu a0, a2, fail; addi a3, a3, -1; bnez a3, -16; wfi; j -4; fail: j .
        uint[] runner = [0x0000100f, 0x000580e7, 0x00c56a63, 0xfff68693, 0xfe0698e3, Wfi, 0xffdff06f, SelfLoop];
        // Writer: sw a4, 0(a1); xor a4, a4, a5; fence.i; jalr a1; addi a3, a3, -1; bnez a3, -20; wfi; j -4
        uint[] writer = [0x00e5a023, 0x00f74733, 0x0000100f, 0x000580e7, 0xfff68693, 0xfe0696e3, Wfi, 0xffdff06f];
        using Machine machine = GuestCode.Load(GuestCode.Options(Harts, TranslatorOptions.MinCodeCacheSize), runner);
        GuestCode.Write(machine, GuestCode.Start + 0x100, writer);
        // li a0, 5; ret, which becomes li a0, 7 and back.
        GuestCode.Write(machine, GuestCode.Start + 0x1000, 0x00500513, 0x00008067);
        for (int i = 0; i < Harts; i++)
        {
            RiscVState state = machine.Vcpus[i].GetState<RiscVState>();
            state.Pc = GuestCode.Start + (i == 0 ? 0x100UL : 0);
            state.X[11] = GuestCode.Start + 0x1000;
            state.X[12] = 5;
            state.X[13] = 5000;
            state.X[14] = 0x00700513;
            state.X[15] = 0x00500513 ^ 0x00700513;
            machine.Vcpus[i].SetState(state);
        }

        Task<VcpuExit> run = machine.RunAsync();
        await WaitFor(() => machine.Vcpus.All(v => !v.Core.HasWork));
        machine.RequestShutdown(0);
        await run.WaitAsync(Hang.Limit);
        for (int i = 0; i < Harts; i++)
        {
            Assert.Equal(0UL, machine.X(13, i));
            Assert.Contains(machine.X(10, i), new ulong[] { 5, 7 });
        }
    }

    private static async Task WaitFor(Func<bool> condition)
    {
        for (int i = 0; i < 1500 && !condition(); i++)
            await Task.Delay(20);
        Assert.True(condition(), "The guest did not get there in 30 s.");
    }

    private static ulong Word(Machine machine, ulong offset)
    {
        Assert.True(machine.Memory.TryRead(new Gpa(GuestCode.Start + 0x8000 + offset), out ulong value));
        return value;
    }
}
