using System.IO.Compression;
using VirtKit.Devices.Boards;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>Files that are truncated, flipped or put together of pieces: each is refused with its reason, or has what was saved. A soak (<see cref="Soak"/>) takes 100,000 of each kind.</summary>
public sealed class DamagedFileTests
{
    /// <summary>Far above what a file of a guest of 16 MiB needs: a length that is not true would be allocated in managed memory.</summary>
    private const long MostAllocated = 64 << 20;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData(CompressionLevel.Optimal)]
    public async Task Load_OfDamagedSnapshots_IsRefusedOrTheSame(CompressionLevel? compression)
    {
        using RiscVVirt board = SnapshotBoard.Board("interpreter"), target = SnapshotBoard.Board("interpreter", loads: false);
        board.Machine.Run(30_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        string expected = SnapshotBoard.Describe(board);
        await LoadDamaged(stream => snapshot.SaveAsync(stream, new SnapshotOptions { Compression = compression }, cancellationToken: Cancellation), 1000, async bytes =>
        {
            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(new MemoryStream(bytes), Cancellation);
            target.Machine.Restore(loaded);
            Assert.Equal(expected, SnapshotBoard.Describe(target));
        });
    }

    /// <summary>Changes since another snapshot.</summary>
    [Fact]
    public async Task Load_OfDamagedChanges_IsRefusedOrTheSame()
    {
        using RiscVVirt board = SnapshotBoard.Board("interpreter"), target = SnapshotBoard.Board("interpreter", loads: false);
        board.Machine.Run(30_000, Cancellation);
        using MachineSnapshot first = board.Machine.Capture();
        board.Machine.Run(1_000, Cancellation);
        using MachineSnapshot second = board.Machine.Capture();
        string expected = SnapshotBoard.Describe(board);
        await LoadDamaged(stream => second.SaveAsync(stream, new SnapshotOptions { Since = first }, cancellationToken: Cancellation), 1000, async bytes =>
        {
            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(new MemoryStream(bytes), first, Cancellation);
            target.Machine.Restore(loaded);
            Assert.Equal(expected, SnapshotBoard.Describe(target));
        });
    }

    /// <summary>Files that are mapped, and read where they could be mapped.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Map_OfDamagedSnapshots_IsRefusedOrTheSame(bool maps)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using Machine machine = Small(), target = Small();
        byte[] content = new byte[300_000];
        Seed.Random().NextBytes(content);
        machine.Memory.Write(new Gpa(0x8000_0000), content);
        machine.Memory.Write(new Gpa(0x8008_0000), content);
        using MachineSnapshot snapshot = machine.Capture();
        string expected = Describe(machine);
        await LoadDamaged(stream => snapshot.SaveAsync(stream, new SnapshotOptions { Layout = SnapshotLayout.Mappable }, cancellationToken: Cancellation), 500, async bytes =>
        {
            await File.WriteAllBytesAsync(path, bytes, Cancellation);
            using MachineSnapshot loaded = maps ? await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation) : await MachineSnapshot.LoadAsync(path, Cancellation);
            target.Restore(loaded);
            Assert.Equal(expected, Describe(target));
        });

        static Machine Small()
        {
            var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
            machine.Memory.MapRam(new Gpa(0x8000_0000), 1 << 20);
            machine.Memory.MapRom(new Gpa(0x1000_0000), 12 << 10);
            return machine;
        }

        static string Describe(Machine machine)
        {
            byte[] memory = new byte[1 << 20];
            machine.Memory.Read(new Gpa(0x8000_0000), memory);
            return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory));
        }
    }

    [Fact]
    public async Task Load_OfDamagedRecordings_IsRefusedOrTheSame()
    {
        Random random = Seed.Random();
        using RecordingBoard board = new("translator"), target = new("translator", loads: false);
        board.Machine.Hypercalls = new RecordingBoard.Answers(random);
        board.Machine.StartRecording();
        board.RunTypedTo(10_000, 20, random, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        Assert.True(recording.LogSize > 100, $"{recording.LogSize} bytes");
        await LoadDamaged(stream => recording.SaveAsync(stream, cancellationToken: Cancellation), 1000, async bytes =>
        {
            using MachineRecording loaded = await MachineRecording.LoadAsync(new MemoryStream(bytes), Cancellation);
            target.Machine.Replay(loaded);
            Assert.Equal(ExitReason.ReplayEnded, target.Machine.Run(Cancellation).Reason);
            Assert.Equal(recording.LastInstruction, target.Machine.Retired);
        });
    }

    /// <summary>Loads damaged copies of what is saved.</summary>
    /// <param name="save">Saves it.</param>
    /// <param name="usual">How many copies outside a soak.</param>
    /// <param name="load">Loads one, and compares it.</param>
    private static async Task LoadDamaged(Func<MemoryStream, Task> save, int usual, Func<byte[], Task> load)
    {
        Random random = Seed.Random();
        using var stream = new MemoryStream();
        await save(stream);
        byte[] whole = stream.ToArray();
        await load(whole);
        int count = Soak.Time is null ? usual : 100_000, refused = 0;
        long most = 0;
        for (int round = 0; round < count; round++)
        {
            byte[] damaged = Damage(whole, random);
            (int thread, long before) = (Environment.CurrentManagedThreadId, GC.GetAllocatedBytesForCurrentThread());
            try
            {
                await load(damaged);
            }
            catch (InvalidSnapshotException e)
            {
                Assert.NotEmpty(e.Message);
                if (thread == Environment.CurrentManagedThreadId)
                    most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
                refused++;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{whole.Length} bytes; {refused} of {count} refused, with {most} bytes allocated at most");
        Assert.True(refused > count / 2, $"{refused} of {count} refused");
        Assert.InRange(most, 0, MostAllocated);
    }

    /// <summary>A copy that is cut off, has lost or repeats a piece, or has a few bits flipped.</summary>
    private static byte[] Damage(byte[] whole, Random random)
    {
        byte[] damaged = [.. whole];
        switch (random.Next(3))
        {
            case 0:
                return damaged[..random.Next(damaged.Length)];
            case 1:
                return [.. damaged[..random.Next(damaged.Length)], .. damaged[random.Next(damaged.Length)..]];
            default:
                for (int flips = random.Next(1, 4); flips > 0; flips--)
                    damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
                return damaged;
        }
    }
}
