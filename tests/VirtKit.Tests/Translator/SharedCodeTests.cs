using VirtKit.Accel.Translator;
using VirtKit.Devices.Boards;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>What the translator has made of a guest's code, shared by the machines that are restored from one snapshot.</summary>
public sealed class SharedCodeTests
{
    /// <summary>A loop over several pages of code, which now and then writes another number into an instruction of its own and fences.</summary>
    private const string Guest = """
            li s0, 0x80400000
            li s5, 0
        again:
            addi s1, s1, 1
            call far
            andi t0, s1, 15
            bnez t0, again
            beqz s5, again
            la t0, changed
            slli t1, s1, 20
            li t2, 0x7ff00000
            and t1, t1, t2
            li t2, 0x00090913
            or t1, t1, t2
            sw t1, 0(t0)
            fence.i
            j again
        .align 4096
        far:
            add s4, s4, s1
            andi t0, s4, 0x7f8
            add t0, t0, s0
            ld t1, 0(t0)
            add t1, t1, s4
            sd t1, 0(t0)
        changed:
            addi s2, s2, 1
            ret
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Fork_RunsWhatTheFirstMachineHasTranslated()
    {
        Translators.Require();
        (RiscVVirt first, OpenTranslator engine) = Board();
        using RiscVVirt _ = first;
        first.Machine.Run(1_000_000, Cancellation);
        long blocks = engine.Partition!.Cache.Counts.Blocks;
        Assert.True(blocks > 5);
        using MachineSnapshot snapshot = first.Machine.Capture();
        first.Machine.Run(1_000_000, Cancellation);
        // A budget may end inside a block, and the next run begins there.
        Assert.InRange(engine.Partition.Cache.Counts.Blocks, blocks, blocks + 4);
        for (int i = 0; i < 3; i++)
        {
            (RiscVVirt fork, OpenTranslator other) = Board(loads: false);
            fork.Machine.Restore(snapshot);
            fork.Machine.Run(1_000_000, Cancellation);
            Assert.Equal(Describe(first), Describe(fork));
            Assert.InRange(other.Partition!.Cache.Counts.Blocks, 0, 4);
            fork.Dispose();
        }
    }

    /// <summary>A fork that changes its code runs what it has now; the others what they have.</summary>
    [Fact]
    public void Forks_ThatChangeTheirCode_RunWhatTheyHave()
    {
        Translators.Require();
        Random random = Seed.Random();
        (RiscVVirt first, _) = Board();
        first.Machine.Run(300_000, Cancellation);
        using MachineSnapshot snapshot = first.Machine.Capture();
        first.Dispose();
        RiscVVirt[] forks = [.. Enumerable.Range(0, 6).Select(_ => Board(loads: false).Board)], checks = [.. forks.Select(_ => Check())];
        for (int i = 0; i < forks.Length; i++)
        {
            forks[i].Machine.Restore(snapshot);
            checks[i].Machine.Restore(snapshot);
            Change(forks[i], i % 3);
            Change(checks[i], i % 3);
        }

        snapshot.Dispose();
        Parallel.For(0, forks.Length, i =>
        {
            for (int turn = 0; turn < 20; turn++)
                forks[i].Machine.Run(50_000 + (ulong)(i * 1000), Cancellation);
        });
        for (int i = 0; i < forks.Length; i++)
        {
            checks[i].Machine.Run(20 * (50_000 + (ulong)(i * 1000)), Cancellation);
            Assert.Equal(Describe(checks[i]), Describe(forks[i]));
            // A fork of a fork, and one of that.
            using MachineSnapshot second = forks[i].Machine.Capture();
            (RiscVVirt third, _) = Board(loads: false);
            third.Machine.Restore(second);
            forks[i].Dispose();
            third.Machine.Run(100_000, Cancellation);
            checks[i].Machine.Run(100_000, Cancellation);
            Assert.Equal(Describe(checks[i]), Describe(third));
            third.Dispose();
            checks[i].Dispose();
        }

        static void Change(RiscVVirt board, int kind)
        {
            Vcpu hart = board.Machine.Vcpus[0];
            RiscVState state = hart.GetState<RiscVState>();
            // 1: changes its code all the time. 2: the host has changed it.
            if (kind == 1)
                state.X[21] = 1;
            hart.SetState(state);
            if (kind == 2)
                board.Machine.Memory.Write(RiscVVirt.KernelAddress + 0x1018, BitConverter.GetBytes(0x0079_0913));
        }
    }

    /// <summary>Frozen code cannot be linked further; where that would cost, a machine translates it anew.</summary>
    [Fact]
    public void Fork_WhoseWayLeadsElsewhere_TranslatesThePageAnew()
    {
        Translators.Require();
        (RiscVVirt first, OpenTranslator engine) = Board();
        // So short that the loop's exits are not linked yet.
        first.Machine.Run(40, Cancellation);
        using MachineSnapshot snapshot = first.Machine.Capture();
        (RiscVVirt fork, OpenTranslator other) = Board(loads: false);
        fork.Machine.Restore(snapshot);
        fork.Machine.Run(1_000_000, Cancellation);
        first.Machine.Run(1_000_000, Cancellation);
        Assert.Equal(Describe(first), Describe(fork));
        Assert.InRange(other.Partition!.Cache.Counts.Blocks, 1, 30);
        Assert.InRange(engine.Partition!.Cache.Counts.Blocks, 1, 40);
        first.Dispose();
        fork.Dispose();
    }

    internal static (RiscVVirt Board, OpenTranslator Engine) Board(bool loads = true)
    {
        var engine = new OpenTranslator(new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize });
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = engine },
            MemorySize = 16 << 20,
        });
        if (loads)
        {
            board.Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble(Guest, RiscVVirt.KernelAddress.Value));
            board.BootSupervisor(RiscVVirt.KernelAddress);
        }

        return (board, engine);
    }

    /// <summary>A board whose engine shares nothing.</summary>
    private static RiscVVirt Check() => new(new RiscVVirtOptions
    {
        Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create("interpreter") },
        MemorySize = 16 << 20,
    });

    private static string Describe(RiscVVirt board)
    {
        byte[] memory = new byte[16 << 20];
        board.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
        RiscVState state = board.Machine.Vcpus[0].GetState<RiscVState>();
        return $"{board.Machine.Retired} {state.Pc:x} {string.Join(' ', Enumerable.Range(0, 32).Select(i => $"{state.X[i]:x}"))} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory))}";
    }
}
