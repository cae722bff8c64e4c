using System.Diagnostics;
using System.Security.Cryptography;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Kvm;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.State;

#pragma warning disable xUnit1031
/// <summary>Everything at once, and very often.</summary>
public sealed class SnapshotStressTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Threads_ThatDoEverything_GetRecordingsThatRepeat(bool idle)
    {
        Random random = Seed.Random();
        List<MachineRecording> recordings = [];
        List<Exception> failures = [];
        using (var recorded = new RecordingBoard("translator", idle))
        {
            recorded.Machine.Hypercalls = new RecordingBoard.Answers(random);
            using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(6));
            ExecutionEngine[] engines = [RiscVEngines.Create("interpreter"), RiscVEngines.Create("translator")];
            int seed = random.Next();
            Thread[] threads =
            [
                Start(() =>
                {
                    using var limit = new CancellationTokenSource(random.Next(20));
                    recorded.Machine.Run(limit.Token);
                }),
                Start(() =>
                {
                    var first = recorded.Machine.Capture();
                    Thread.Sleep(1);
                    first.Dispose();
                }),
                Start(() =>
                {
                    recorded.Machine.StartRecording();
                    Thread.Sleep(5 + seed % 13);
                    recordings.Add(recorded.Machine.StopRecording());
                }),
                Start(() =>
                {
                    recorded.Machine.SwitchEngine(engines[Random.Shared.Next(2)]);
                    Thread.Sleep(Random.Shared.Next(3));
                }),
                Start(() =>
                {
                    recorded.Machine.RequestShutdown(Random.Shared.Next(5));
                    Thread.Sleep(Random.Shared.Next(10));
                }),
                Start(() =>
                {
                    recorded.Console.Type([(byte)Random.Shared.Next(32, 127)]);
                    Thread.Sleep(Random.Shared.Next(3));
                }),
            ];
            foreach (Thread thread in threads)
                Assert.True(thread.Join(30_000), "A thread hangs.");

            Thread Start(Action action)
            {
                var thread = new Thread(() =>
                {
                    try
                    {
                        while (!stop.IsCancellationRequested)
                        {
                            try
                            {
                                action();
                            }
                            catch (InvalidOperationException e) when (e.Message.Contains("owns it", StringComparison.Ordinal))
                            {
                            }
                        }
                    }
                    catch (Exception e)
                    {
                        lock (failures)
                            failures.Add(e);
                    }
                });
                thread.Start();
                return thread;
            }
        }

        Assert.Empty(failures);
        Assert.True(recordings.Count > 20, $"{recordings.Count}");
        using var repeated = new RecordingBoard("translator", loads: false);
        for (int i = 0; i < recordings.Count; i++)
        {
            using MachineRecording recording = recordings[i];
            repeated.Machine.Replay(recording);
            VcpuExit exit;
            while ((exit = repeated.Machine.Run(Cancellation)).Reason == ExitReason.Shutdown)
            {
            }

            Assert.True(exit.Reason == ExitReason.ReplayEnded, $"recording {i} of {recordings.Count}: {exit}");
            Assert.Equal(recording.LastInstruction, repeated.Machine.Retired);
        }
    }

    /// <summary>A machine with four vCPUs whose idle time is real.</summary>
    [Fact]
    public void Replay_OfRealIdleTime_IsTheSame()
    {
        const string Sleepy = """
                li s2, 0x10000000
                li t0, 32
                csrs sie, t0
            again:
                csrr t0, time
                li t1, 20000
                add t0, t0, t1
                csrw stimecmp, t0
                wfi
                addi s1, s1, 1
                lbu t0, 5(s2)
                andi t0, t0, 1
                beqz t0, again
                lbu t1, 0(s2)
                sb t1, 0(s2)
                csrr t2, time
                slli s4, s4, 5
                add s4, s4, t2
                j again
            """;
        var console = new MemoryConsole();
        var screen = new MemoryConsole();
        using RiscVVirt board = RecordingFaultTests.Board(Sleepy, console, "translator", 4, IdleTime.RealTime), other = RecordingFaultTests.Board(Sleepy, screen, "interpreter", 4, IdleTime.RealTime);
        board.Machine.StartRecording();
        for (int i = 0; i < 20; i++)
        {
            using var limit = new CancellationTokenSource(30);
            Task typing = Task.Run(async () =>
            {
                await Task.Delay(11);
                console.Type("x");
            });
            board.Machine.Run(limit.Token);
            typing.Wait(Cancellation);
        }

        using MachineRecording recording = board.Machine.StopRecording();
        other.Machine.Replay(recording);
        Assert.Equal(ExitReason.ReplayEnded, other.Machine.Run(Cancellation).Reason);
        Assert.Equal(board.Machine.Vcpus[0].GetState<RiscVState>().X[20], other.Machine.Vcpus[0].GetState<RiscVState>().X[20]);
        Assert.Equal(console.Output, screen.Output);
    }

    /// <summary>Random walks that are cancelled, ended and recorded again from there.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void GoTo_CancelledAndGoneOnFrom_IsTheRun(string engine)
    {
        Random random = Seed.Random();
        using var board = new RecordingBoard(engine);
        board.Machine.Hypercalls = new RecordingBoard.Answers(random);
        board.Machine.StartRecording();
        board.RunTypedTo(50_000, 20, random, Cancellation);
        MachineRecording recording = board.Machine.StopRecording();
        for (int round = 0; round < 12; round++)
        {
            using var walker = new RecordingBoard(engine, loads: false);
            using var second = new RecordingBoard(engine == "interpreter" ? "translator" : "interpreter", loads: false);
            walker.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = (ulong)random.Next(1000, 100_000), CheckpointMemory = random.Next(2) == 0 ? 1 << 20 : 1 << 30 });
            second.Machine.Replay(recording);
            ulong length = recording.LastInstruction - recording.FirstInstruction;
            ulong place = 0;
            for (int step = 0; step < 6; step++)
            {
                place = recording.FirstInstruction + (ulong)random.NextInt64((long)length);
                using var soon = new CancellationTokenSource();
                soon.CancelAfter(random.Next(10));
                VcpuExit exit = walker.Machine.GoTo(place, soon.Token);
                Assert.True(exit.Reason is ExitReason.Kicked or ExitReason.BudgetExhausted, $"{exit}");
                if (random.Next(3) == 0)
                    walker.Machine.Run(soon.Token);
                if (!walker.Machine.IsReplaying)
                    walker.Machine.Replay(recording);
                Assert.Equal(ExitReason.BudgetExhausted, walker.Machine.GoTo(place, Cancellation).Reason);
            }

            second.Machine.GoTo(place, Cancellation);
            Assert.Equal(Describe(second), Describe(walker));
            walker.Machine.EndReplay();
            walker.Machine.Hypercalls = new RecordingBoard.Answers(random);
            walker.Machine.StartRecording();
            walker.RunTypedTo(50_000, 10, random, Cancellation);
            MachineRecording again = walker.Machine.StopRecording();
            second.Machine.Replay(again);
            second.Machine.Replay(again);
            Assert.Equal(ExitReason.ReplayEnded, second.Machine.GoTo(ulong.MaxValue, Cancellation).Reason);
            Assert.Equal(Describe(walker), Describe(second));
            recording.Dispose();
            recording = again;
        }

        recording.Dispose();
    }

    private static string Describe(RecordingBoard board)
    {
        byte[] memory = new byte[16 << 20];
        board.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
        return $"{board.Machine.Retired} {Convert.ToHexString(SHA256.HashData(memory))} {board.Machine.Vcpus[0].GetState<RiscVState>().X[20]} {board.Machine.Vcpus[1].GetState<RiscVState>().X[9]}";
    }

    private static Machine Small()
    {
        var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        machine.Memory.MapRam(new Gpa(0x8000_0000), 4 << 20);
        machine.Memory.MapRom(new Gpa(0x1000_0000), 1 << 20);
        machine.Memory.MapRam(new Gpa(0x9000_0000), 1 << 20);
        return machine;
    }

    [Fact]
    public void Machine_WithoutMemory_IsCapturedAndRestored()
    {
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        using MachineSnapshot snapshot = machine.Capture();
        machine.Restore(snapshot);
        machine.StartRecording();
        using MachineRecording recording = machine.StopRecording();
        machine.Replay(recording);
        Assert.Equal(ExitReason.ReplayEnded, machine.Run(10, Cancellation).Reason);
    }

    /// <summary>A snapshot that is disposed of while others use it: they end well, or are told.</summary>
    [Fact]
    public async Task Dispose_WhileOthersUseIt_TakesNothingAway()
    {
        Random random = Seed.Random();
        using Machine machine = Small(), second = Small(), third = Small();
        byte[] content = new byte[2 << 20];
        int told = 0, whole = 0;
        for (int round = 0; round < 250; round++)
        {
            random.NextBytes(content);
            machine.Memory.Write(new Gpa(0x8000_0000), content);
            MachineSnapshot snapshot = machine.Capture();
            content[5]++;
            machine.Memory.Write(new Gpa(0x8000_0000), content.AsSpan(0, 1 << 20));
            MachineSnapshot later = machine.Capture();
            byte[] expected = [.. content];
            Task[] users =
            [
                Task.Run(() => Use(() => second.Restore(later), () => Check(second))),
                Task.Run(() => Use(() => third.Restore(later), () => Check(third))),
                Task.Run(async () =>
                {
                    try
                    {
                        using var stream = new MemoryStream();
                        await later.SaveAsync(stream, new SnapshotOptions { Since = snapshot });
                        stream.SetLength(0);
                        await later.SaveAsync(stream);
                        stream.Position = 0;
                        using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(stream);
                        using Machine fourth = Small();
                        fourth.Restore(loaded);
                        Check(fourth);
                    }
                    catch (ObjectDisposedException)
                    {
                        Interlocked.Increment(ref told);
                    }
                }),
            ];
            Thread.SpinWait(random.Next(200_000));
            snapshot.Dispose();
            Thread.SpinWait(random.Next(200_000));
            later.Dispose();
            using MachineSnapshot next = machine.Capture();
            await Task.WhenAll(users);

            void Check(Machine restored)
            {
                byte[] memory = new byte[content.Length];
                restored.Memory.Read(new Gpa(0x8000_0000), memory);
                Assert.True(memory.AsSpan().SequenceEqual(expected), "other bytes");
                Interlocked.Increment(ref whole);
            }
        }

        Assert.True(told > 5 && whole > 5, $"{told} {whole}");

        void Use(Action action, Action check)
        {
            try
            {
                action();
            }
            catch (ObjectDisposedException)
            {
                Interlocked.Increment(ref told);
                return;
            }

            check();
        }
    }

    /// <summary>Of a memory with little in it little is kept.</summary>
    [Fact]
    public void Capture_OfSparse64GiB_KeepsWhatIsThere()
    {
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        machine.Memory.MapRam(new Gpa(0x8000_0000), 64UL << 30);
        for (ulong i = 0; i < 64; i++)
            machine.Memory.Write(new Gpa(0x8000_0000 + (i << 30)), [1, 2, 3]);
        using MachineSnapshot first = machine.Capture();
        machine.Memory.Write(new Gpa(0x8000_0000 + (7UL << 30)), [4, 5, 6]);
        using MachineSnapshot second = machine.Capture();
        Assert.Equal(4096, second.OwnBytes - second.State.Length);
        machine.Restore(first);
        Assert.True(machine.Memory.TryGetSpan(new Gpa(0x8000_0000 + (7UL << 30)), 3, out Span<byte> found));
        Assert.Equal([1, 2, 3], found.ToArray());
    }

    /// <summary>Captures in a chain of a guest on KVM that writes all the time, with a host thread that writes as well.</summary>
    [Fact]
    public void Captures_OnKvm_AreWhatTheyWere()
    {
        Require.Kvm();
        Random random = Seed.Random();
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            var again = a.CreateLabel();
            a.mov(rbx, 0x8_0000);
            a.Label(ref again);
            a.inc(rax);
            a.imul(rcx, rax, 4099);
            a.and(rcx, 0xf_ffff);
            a.add(__qword_ptr[rbx + rcx], rax);
            a.jmp(again);
        });
        List<(MachineSnapshot Snapshot, byte[] Memory, ulong Rax)> kept = [];
        using var stop = new CancellationTokenSource();
        for (int round = 0; round < 120; round++)
        {
            using var limit = new CancellationTokenSource(random.Next(1, 5));
            Task<VcpuExit> run = guest.Machine.RunAsync(limit.Token);
            var dma = new Thread(() =>
            {
                for (ulong i = 0; i < 100; i++)
                    guest.Machine.Memory.Write(new Gpa(0x19_0000 + i * 4000), [(byte)i, (byte)round]);
            });
            dma.Start();
            using (MachineSnapshot running = guest.Machine.Capture())
                dma.Join();
            run.Wait(Cancellation);
            switch (random.Next(5))
            {
                case 0 when kept.Count > 0:
                    var (snapshot, memory, rax) = kept[random.Next(kept.Count)];
                    guest.Machine.Restore(snapshot);
                    byte[] now = Memory();
                    Assert.True(now.AsSpan().SequenceEqual(memory), "other bytes");
                    Assert.Equal(rax, guest.Registers.Rax);
                    break;
                case 1 when kept.Count > 5:
                    kept[0].Snapshot.Dispose();
                    kept.RemoveAt(0);
                    break;
                default:
                    byte[] before = Memory();
                    kept.Add((guest.Machine.Capture(), before, guest.Registers.Rax));
                    break;
            }
        }

        foreach (var (snapshot, memory, rax) in kept)
        {
            guest.Machine.Restore(snapshot);
            Assert.True(Memory().AsSpan().SequenceEqual(memory), "other bytes");
            Assert.Equal(rax, guest.Registers.Rax);
            snapshot.Dispose();
        }

        byte[] Memory()
        {
            byte[] bytes = new byte[X64Guest.RamSize];
            guest.Machine.Memory.Read(new Gpa(0), bytes);
            return bytes;
        }
    }

    /// <summary>The machine is disposed of while it goes to and fro and is captured.</summary>
    [Fact]
    public void Dispose_WhileItGoesToAndFro_EndsEverybody()
    {
        Random random = Seed.Random();
        using var board = new RecordingBoard("translator");
        board.Machine.Hypercalls = new RecordingBoard.Answers(random);
        board.Machine.StartRecording();
        board.RunTypedTo(1_000_000, 20, random, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        for (int round = 0; round < 20; round++)
        {
            var walker = new RecordingBoard("translator", loads: false);
            walker.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = 100_000 });
            Task[] tasks =
            [
                Task.Run(() =>
                {
                    while (true)
                        walker.Machine.GoTo((ulong)Random.Shared.NextInt64((long)recording.LastInstruction), Cancellation);
                }, Cancellation),
                Task.Run(() =>
                {
                    while (true)
                        walker.Machine.Capture().Dispose();
                }, Cancellation),
                Task.Run(() =>
                {
                    while (true)
                    {
                        try
                        {
                            walker.Machine.StopRecording();
                        }
                        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
                        {
                        }
                    }
                }, Cancellation),
            ];
            Thread.Sleep(random.Next(60));
            walker.Machine.Dispose();
            foreach (Task task in tasks)
            {
                try
                {
                    Assert.True(task.Wait(20_000, Cancellation), "hangs");
                }
                catch (AggregateException e)
                {
                    Assert.True(e.InnerException is ObjectDisposedException || (e.InnerException is InvalidOperationException && e.InnerException.Message.Contains("owns it", StringComparison.Ordinal)), e.ToString());
                }
            }
        }
    }

    /// <summary>A capture during a GoTo does not change where it goes.</summary>
    [Fact]
    public void Capture_OfAMachineThatGoesToAPlace_IsHarmless()
    {
        Random random = Seed.Random();
        using var board = new RecordingBoard("translator");
        board.Machine.Hypercalls = new RecordingBoard.Answers(random);
        board.Machine.StartRecording();
        board.RunTypedTo(1_000_000, 20, random, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        using var direct = new RecordingBoard("translator", loads: false);
        using var walker = new RecordingBoard("translator", loads: false);
        direct.Machine.Replay(recording);
        walker.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = 100_000 });
        using var stop = new CancellationTokenSource();
        Task capturer = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
                walker.Machine.Capture().Dispose();
        }, Cancellation);
        for (int i = 0; i < 10; i++)
        {
            ulong place = (ulong)random.NextInt64((long)recording.LastInstruction);
            GoTo(place);
            direct.Machine.GoTo(place, Cancellation);
            Assert.Equal(Describe(direct).Split(' ')[1], Hash(walker));
        }

        stop.Cancel();
        capturer.Wait(Cancellation);

        string Hash(RecordingBoard of)
        {
            byte[] memory = new byte[16 << 20];
            of.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
            return Convert.ToHexString(SHA256.HashData(memory));
        }

        void GoTo(ulong place)
        {
            while (true)
            {
                try
                {
                    Assert.Equal(ExitReason.BudgetExhausted, walker.Machine.GoTo(place, Cancellation).Reason);
                    return;
                }
                catch (InvalidOperationException e) when (e.Message.Contains("owns it", StringComparison.Ordinal))
                {
                }
            }
        }
    }
}
