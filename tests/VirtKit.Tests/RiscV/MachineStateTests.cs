using System.Reflection;
using VirtKit.Devices.Boards;
using VirtKit.Execution;
using VirtKit.RiscV;
using VirtKit.Scheduling;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.Time;

namespace VirtKit.Tests.RiscV;

/// <summary>The state of a whole machine but for its memory.</summary>
public sealed class MachineStateTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Engines => RiscVEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Restore_OfDamagedState_IsRefusedOrRuns(string engine)
    {
        Random random = Seed.Random();
        using RiscVVirt board = Compose(engine);
        byte[] whole = Run(board, 5000);
        int refused = 0, ran = 0;
        for (int round = 0; round < 300; round++)
        {
            byte[] damaged = [.. whole];
            if (random.Next(5) == 0)
                damaged = damaged[..random.Next(damaged.Length)];
            for (int flips = random.Next(1, 4); flips > 0 && damaged.Length > 0; flips--)
                damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                var reader = new StateReader(damaged);
                board.Machine.Visit(reader);
                reader.End();
                ran++;
            }
            catch (InvalidSnapshotException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }

            // Whatever was taken, the guest is contained.
            VcpuExit exit = board.Machine.Run(20_000, Cancellation);
            Assert.True(exit.Reason is not ExitReason.InternalError, $"{exit}");
        }

        Assert.True(refused > 30 && ran > 3, $"{refused} refused, {ran} ran");
        Restore(board, whole);
        Assert.Equal(whole, Save(board));
    }

    [Fact]
    public void Restore_IntoAnotherMachine_IsRefusedByName()
    {
        using RiscVVirt board = Compose("interpreter");
        byte[] state = Run(board, 100);
        using RiscVVirt fewer = Compose("interpreter", vcpus: 1);
        string message = Assert.Throws<InvalidSnapshotException>(() => Restore(fewer, state)).Message;
        Assert.Contains("clint", message, StringComparison.Ordinal);
        using var bare = new BareMachine("interpreter", "wfi");
        Assert.Throws<InvalidSnapshotException>(() => bare.Machine.Visit(new StateReader(state)));
    }

    [Fact]
    public void Save_OfADeviceThatCannotBeSaved_NamesIt()
    {
        using var guest = new BareMachine("interpreter", "wfi");
        guest.Machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("odd", 0x1000) });
        string message = Assert.Throws<VirtKitException>(() => guest.Machine.Visit(new StateWriter())).Message;
        Assert.Contains("odd at 0x1000", message, StringComparison.Ordinal);
    }

    /// <summary>What a clock or a scheduler keeps is either among these, for a reason, or saved: a field that is added has to be put into one of the two lists.</summary>
    [Theory]
    [InlineData(typeof(VirtualClock), "_sliceStart _instructions _skips _calendarStart", "_retiredAtStart _running _thread _hasNewPosts Changed PostRuns")]
    [InlineData(typeof(HostClock), "_origin _stands _calendarStart", "_stoppedAt _version _running _thread _closed")]
    [InlineData(typeof(DeterministicScheduler), "_turn _left", "_waiting")]
    [InlineData(typeof(ThreadScheduler), "", "")]
    [InlineData(typeof(TimerQueue), "", "_sequence _search EarliestChanged Failed")]
    [InlineData(typeof(RiscVTimebase), "_offset", "Changed")]
    // A start that was asked for is served by whoever takes the state; a chain of traps is counted anew.
    [InlineData(typeof(Hart), "", "_startRequest _pendingCause _pendingValue _firstCause _firstPc _firstValue _lastCause _chainRetired _chainLength")]
    [InlineData(typeof(GuestCpu), "_pins _exit", "_seenWrites _storesDropped _exitRequested Engine Context Slots NextPc Exits MmioAccesses Traps StopsFrom Stops _requests _inGuest")]
    public void Fields_OfAPartThatIsNoDevice_AreSavedOrKnown(Type type, string saved, string others)
    {
        IEnumerable<string> found = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            .Where(field => !field.IsInitOnly && !field.Name.EndsWith(">P", StringComparison.Ordinal))
            .Select(field => field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)] : field.Name);
        Assert.Equal(saved.Split(' ', StringSplitOptions.RemoveEmptyEntries).Concat(others.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Order(), found.Order());
    }

    private static RiscVVirt Compose(string engine, int vcpus = 2)
    {
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine), VcpuCount = vcpus, Quantum = 100 },
            MemorySize = 16 << 20,
        });
        // Counts, with the timer of the SBI now and then.
        byte[] code = RiscVAssembler.Assemble("""
            la t0, handler
            csrw stvec, t0
            li t0, 0x20
            csrw sie, t0
            csrsi sstatus, 2
            handler: csrr a0, time
            addi a0, a0, 50
            li a7, 0x54494d45
            li a6, 0
            ecall
            loop: addi s0, s0, 1
            j loop
            """, RiscVVirt.KernelAddress.Value, out _);
        board.Machine.Memory.Write(RiscVVirt.KernelAddress, code);
        board.BootSupervisor(RiscVVirt.KernelAddress);
        return board;
    }

    private static byte[] Run(RiscVVirt board, ulong budget)
    {
        Assert.Equal(ExitReason.BudgetExhausted, board.Machine.Run(budget, Cancellation).Reason);
        return Save(board);
    }

    private static byte[] Save(RiscVVirt board)
    {
        var writer = new StateWriter();
        board.Machine.Visit(writer);
        return writer.Written.ToArray();
    }

    private static void Restore(RiscVVirt board, byte[] state)
    {
        var reader = new StateReader(state);
        board.Machine.Visit(reader);
        reader.End();
    }
}
