using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>Runs that are recorded with input from other threads, and repeated.</summary>
public sealed class RecordingTests
{
    public static TheoryData<string, string, bool> Engines => new(from first in RiscVEngines.All from second in RiscVEngines.All from idle in (bool[])[false, true] select (first, second, idle));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Two vCPUs, input typed at any time, hypercalls answered at random; repeated in another board, on either engine, from a file.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Replay_OnAnyEngine_IsTheRunThatWasRecorded(string engine, string other, bool idle)
    {
        Random random = Seed.Random();
        using var recorded = new RecordingBoard(engine, idle);
        using var repeated = new RecordingBoard(other, idle, loads: false);
        recorded.Machine.Hypercalls = new RecordingBoard.Answers(random);
        recorded.Machine.Run(100_000, Cancellation);
        recorded.Console.Type("typed before");
        recorded.Machine.StartRecording();
        string before = recorded.Console.Output;
        recorded.RunTypedTo(idle ? 20_000u : 1_000_000u, 20, random, Cancellation);
        using MachineRecording recording = await Copy(recorded.Machine.StopRecording());
        Assert.Equal(recorded.Machine.Retired, recording.LastInstruction);

        repeated.Console.Type("for the live machine");
        repeated.Machine.Replay(recording);
        Assert.True(repeated.Machine.IsReplaying);
        Assert.Equal(new VcpuExit(ExitReason.ReplayEnded), repeated.Machine.GoTo(recording.LastInstruction, Cancellation));
        Assert.Equal(recorded.Console.Output, before + repeated.Console.Output);
        Assert.Equal(Describe(recorded), Describe(repeated));
        Assert.True(repeated.Machine.IsReplaying);
        Assert.Equal(new VcpuExit(ExitReason.ReplayEnded), repeated.Machine.Run(Cancellation));
        Assert.False(repeated.Machine.IsReplaying);
        // What was typed meanwhile comes in behind it.
        repeated.Machine.Hypercalls = new RecordingBoard.Answers(random);
        repeated.Machine.Run(2_000_000, Cancellation);
        Assert.EndsWith("for the live machine", repeated.Console.Output, StringComparison.Ordinal);
    }

    /// <summary>A console that is full holds the guest back, at a moment of the host's: that is input as well.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public async Task Replay_OfAConsoleThatWasFull_HoldsTheGuestBackThere(string engine)
    {
        Random random = Seed.Random();
        using var recorded = new RecordingBoard(engine, overflow: ConsoleOverflow.Wait);
        using var repeated = new RecordingBoard(engine, loads: false);
        recorded.Machine.Hypercalls = new RecordingBoard.Answers(random);
        recorded.Machine.StartRecording();
        Task<VcpuExit> run = Task.Run(() => recorded.Machine.Run(20_000_000, Cancellation), Cancellation);
        string output = "";
        recorded.Console.Type(new string('x', 3000));
        while (!run.IsCompleted)
        {
            await Task.Delay(random.Next(4), Cancellation);
            output += System.Text.Encoding.UTF8.GetString(recorded.Console.TakeOutput());
        }

        // What is taken makes room, which is input: behind the end nothing is taken any more.
        using MachineRecording recording = recorded.Machine.StopRecording();
        output += recorded.Console.Output;
        repeated.Machine.Replay(recording);
        repeated.Machine.Run(Cancellation);
        Assert.Equal(output, repeated.Console.Output);
        Assert.Equal(Describe(recorded), Describe(repeated));
    }

    /// <summary>A recording that is begun, and one that is ended, while the machine runs.</summary>
    [Fact]
    public async Task Recording_WhileTheMachineRuns_IsAPieceOfItsRun()
    {
        Random random = Seed.Random();
        using var recorded = new RecordingBoard("translator");
        using var repeated = new RecordingBoard("interpreter", loads: false);
        recorded.Machine.Hypercalls = new RecordingBoard.Answers(random);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = recorded.Machine.RunAsync(stop.Token);
        recorded.Console.Type("typed before");
        await Task.Delay(20, Cancellation);
        recorded.Machine.StartRecording();
        for (int i = 0; i < 20; i++)
        {
            recorded.Console.Type([(byte)random.Next(32, 127)]);
            await Task.Delay(random.Next(3), Cancellation);
        }

        using MachineRecording recording = recorded.Machine.StopRecording();
        await Task.Delay(10, Cancellation);
        await stop.CancelAsync();
        await run;
        Assert.True(recording.LastInstruction > recording.FirstInstruction && recording.LogSize > 0);
        repeated.Machine.Replay(recording);
        Assert.Equal(ExitReason.ReplayEnded, repeated.Machine.Run(Cancellation).Reason);
        Assert.Equal(recording.LastInstruction, repeated.Machine.Retired);
    }

    /// <summary>To and fro by instruction counts, as a debugger goes: every place is what it was in a run that went there directly.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void GoTo_InAnyOrder_IsThePlaceOfTheRun(string engine)
    {
        Random random = Seed.Random();
        using MachineRecording recording = Record(random, 3_000_000);
        ulong length = recording.LastInstruction - recording.FirstInstruction;
        ulong[] places = [.. Enumerable.Range(0, 12).Select(_ => recording.FirstInstruction + (ulong)random.NextInt64((long)length))];
        using var direct = new RecordingBoard("translator", loads: false);
        using var moved = new RecordingBoard(engine, loads: false);
        Dictionary<ulong, string> expected = [];
        direct.Machine.Replay(recording);
        foreach (ulong place in places.Order())
        {
            direct.Machine.GoTo(place, Cancellation);
            expected[place] = Describe(direct);
        }

        moved.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = 200_000 });
        foreach (ulong place in places)
        {
            Assert.Equal(new VcpuExit(ExitReason.BudgetExhausted), moved.Machine.GoTo(place, Cancellation));
            Assert.Equal(place, moved.Machine.Retired);
            Assert.Equal(expected[place], Describe(moved));
            moved.Machine.StepBack(1, Cancellation);
            Assert.Equal(place - 1, moved.Machine.Retired);
            moved.Machine.GoTo(place, Cancellation);
            Assert.Equal(expected[place], Describe(moved));
        }

        Assert.Equal(ExitReason.ReplayEnded, moved.Machine.GoTo(recording.LastInstruction + 1, Cancellation).Reason);
        Assert.True(moved.Machine.IsReplaying);
        moved.Machine.StepBack(ulong.MaxValue, Cancellation);
        Assert.Equal(recording.FirstInstruction, moved.Machine.Retired);
        Assert.Throws<ArgumentOutOfRangeException>(() => moved.Machine.GoTo(recording.FirstInstruction - 1, Cancellation));
        // The host has seen every byte of output once, however often the guest wrote it.
        direct.Machine.Run(Cancellation);
        Assert.Equal(direct.Console.Output, moved.Console.Output);
        moved.Machine.EndReplay();
        Assert.Throws<InvalidOperationException>(() => moved.Machine.GoTo(recording.LastInstruction, Cancellation));
        moved.Machine.Hypercalls = new RecordingBoard.Answers(random);
        Assert.Equal(ExitReason.BudgetExhausted, moved.Machine.Run(10_000, Cancellation).Reason);
    }

    [Fact]
    public void GoTo_WithLittleMemory_KeepsFewerCheckpoints()
    {
        using MachineRecording recording = Record(Seed.Random(), 3_000_000);
        using var board = new RecordingBoard("translator", loads: false);
        foreach (long memory in (long[])[0, 1 << 20])
        {
            board.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = 10_000, CheckpointMemory = memory });
            Assert.Equal(ExitReason.BudgetExhausted, board.Machine.GoTo(recording.LastInstruction - 1, Cancellation).Reason);
            string end = Describe(board);
            board.Machine.GoTo(recording.FirstInstruction + 5_000, Cancellation);
            board.Machine.GoTo(recording.LastInstruction - 1, Cancellation);
            Assert.Equal(end, Describe(board));
        }
    }

    [Fact]
    public void Replay_OfAnotherMachine_SaysWhereItDiffersFirst()
    {
        using MachineRecording recording = Record(Seed.Random(), 10_000_000);
        using var board = new RecordingBoard("interpreter", loads: false);
        board.Machine.Replay(recording);
        board.Machine.Memory.Write(new Gpa(0x8040_0000), [1]);
        // Hart 1 reads the word again and again; its sums are other ones until hart 0 overwrites it.
        ReplayMismatchException difference = Assert.Throws<ReplayMismatchException>(() => board.Machine.Run(Cancellation));
        Assert.Contains("at instruction", difference.Message, StringComparison.Ordinal);
        Assert.Throws<ReplayMismatchException>(() => board.Machine.Run(Cancellation));
        // From its beginning it can be repeated all the same.
        board.Machine.GoTo(recording.FirstInstruction, Cancellation);
        Assert.Equal(ExitReason.ReplayEnded, board.Machine.Run(Cancellation).Reason);
        using var other = new RiscVVirt(new RiscVVirtOptions { MemorySize = 8 << 20 });
        Assert.Throws<InvalidSnapshotException>(() => other.Machine.Replay(recording));
        Assert.False(other.Machine.IsReplaying);
    }

    [Fact]
    public async Task Recording_WithAnActionThatHasNoInput_CannotBeRepeated()
    {
        using var board = new RecordingBoard("interpreter");
        board.Machine.StartRecording();
        board.Machine.Clock.Post(new object(), () => { });
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = await Copy(board.Machine.StopRecording());
        Assert.Contains("without an input", Assert.Throws<InvalidSnapshotException>(() => board.Machine.Replay(recording)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Recording_ThatBecomesTooLong_EndsThereAndTheMachineGoesOn()
    {
        using var board = new RecordingBoard("interpreter");
        board.Machine.Hypercalls = new RecordingBoard.Answers(Seed.Random());
        board.Machine.StartRecording(new RecordingOptions { MaxLogSize = 300 });
        Assert.Equal(ExitReason.BudgetExhausted, board.Machine.Run(2_000_000, Cancellation).Reason);
        using MachineRecording recording = board.Machine.StopRecording();
        Assert.True(recording.IsCut);
        Assert.InRange(recording.LastInstruction, 1u, 1_999_999u);
        Assert.InRange(recording.LogSize, 300, 1000);
        board.Machine.Replay(recording);
        Assert.Equal(ExitReason.ReplayEnded, board.Machine.Run(Cancellation).Reason);
    }

    [Fact]
    public void Machine_ThatIsRecorded_RefusesWhatTheRecordingWouldNotKnow()
    {
        using var board = new RecordingBoard("interpreter");
        using MachineSnapshot snapshot = board.Machine.Capture();
        board.Machine.StartRecording();
        Refuse("StopRecording");
        using MachineRecording recording = board.Machine.StopRecording();
        Assert.Throws<InvalidOperationException>(board.Machine.StopRecording);
        board.Machine.Replay(recording);
        Refuse("EndReplay");
        board.Machine.EndReplay();
        Assert.Throws<InvalidOperationException>(board.Machine.EndReplay);
        Assert.Throws<InvalidOperationException>(() => board.Machine.StepBack());
        Assert.Throws<ArgumentOutOfRangeException>(() => board.Machine.StartRecording(new RecordingOptions { MaxLogSize = 0 }));
        using var threads = new RiscVVirt(new RiscVVirtOptions { Machine = new MachineOptions { Architecture = new VirtKit.RiscV.RiscVArchitecture(), Scheduling = VcpuScheduling.Threads } });
        Assert.Throws<InvalidOperationException>(() => threads.Machine.StartRecording());
        Assert.Throws<InvalidOperationException>(() => threads.Machine.Retired);

        void Refuse(string remedy)
        {
            Vcpu vcpu = board.Machine.Vcpus[0];
            var state = vcpu.GetState<VirtKit.RiscV.RiscVState>();
            foreach (Action change in (Action[])[board.Machine.Reset, vcpu.Reset, () => vcpu.SetState(state), () => vcpu.Run(1), () => board.Machine.Restore(snapshot), () => board.Machine.StartRecording()])
                Assert.Contains(remedy, Assert.Throws<InvalidOperationException>(change).Message, StringComparison.Ordinal);
            // What the guest cannot see is possible.
            board.Machine.Capture().Dispose();
        }
    }

    [Fact]
    public async Task Replay_OfDamagedLogs_IsRefusedOrContained()
    {
        Random random = Seed.Random();
        using MachineRecording recording = Record(random, 200_000);
        using var board = new RecordingBoard("interpreter", loads: false);
        using var stream = new MemoryStream();
        await recording.SaveAsync(stream, cancellationToken: Cancellation);
        byte[] events = recording.Log.Events.ToArray(), answers = recording.Log.Answers.ToArray();
        for (int round = 0; round < (Soak.Time is null ? 3000 : 100_000); round++)
        {
            byte[] damagedEvents = [.. events], damagedAnswers = [.. answers];
            byte[] damaged = random.Next(2) == 0 ? damagedEvents : damagedAnswers;
            for (int flips = random.Next(1, 4); flips > 0; flips--)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                ReadOnlySpan<byte> cut = damagedAnswers.AsSpan(0, random.Next(2) == 0 ? damagedAnswers.Length : random.Next(damagedAnswers.Length + 1));
                board.Machine.Replay(new MachineRecording(recording.Start, InputLog.Parse(damagedEvents, cut), isCut: false));
                board.Machine.Run(20_000, Cancellation);
            }
            catch (VirtKitException e)
            {
                Assert.NotEmpty(e.Message);
            }
        }

        stream.SetLength(stream.Length - 9);
        stream.Position = 0;
        await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineRecording.LoadAsync(stream, Cancellation));
        stream.SetLength(0);
        await recording.Start.SaveAsync(stream, cancellationToken: Cancellation);
        stream.Position = 0;
        Assert.Contains("no recording", (await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineRecording.LoadAsync(stream, Cancellation))).Message, StringComparison.Ordinal);
        stream.SetLength(0);
        await recording.SaveAsync(stream, cancellationToken: Cancellation);
        stream.Position = 0;
        Assert.Contains("is a recording", (await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.LoadAsync(stream, Cancellation))).Message, StringComparison.Ordinal);
    }

    private static MachineRecording Record(Random random, ulong length)
    {
        using var board = new RecordingBoard("translator");
        board.Machine.Hypercalls = new RecordingBoard.Answers(random);
        board.Machine.Run(50_000, Cancellation);
        board.Machine.StartRecording();
        board.RunTypedTo(length / 20, 20, random, Cancellation);
        return board.Machine.StopRecording();
    }

    /// <summary>By way of a file.</summary>
    private static async Task<MachineRecording> Copy(MachineRecording recording)
    {
        using (recording)
        {
            using var folder = new TemporaryFolder();
            string path = Path.Combine(folder.Path, "run.vkrec");
            await recording.SaveAsync(path, cancellationToken: Cancellation);
            return await MachineRecording.LoadAsync(path, Cancellation);
        }
    }

    /// <summary>All of it but what waits in the console: state, counts and memory.</summary>
    private static string Describe(RecordingBoard board)
    {
        using MachineSnapshot snapshot = board.Machine.Capture();
        using var copy = new RecordingBoard("interpreter", loads: false);
        copy.Machine.Restore(snapshot);
        while (copy.Console.Read(new byte[100]) != 0)
        {
        }

        using MachineSnapshot without = copy.Machine.Capture();
        byte[] memory = new byte[16 << 20];
        board.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
        return $"{board.Machine.Retired} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory))} {Convert.ToHexString(without.State.Span)}";
    }
}
