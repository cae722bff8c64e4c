using System.IO.Compression;
using VirtKit.Devices.Boards;
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
        await LoadDamaged(stream => snapshot.SaveAsync(stream, new SnapshotOptions { Compression = compression }, cancellationToken: Cancellation), 1000, async stream =>
        {
            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(stream, Cancellation);
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
        await LoadDamaged(stream => second.SaveAsync(stream, new SnapshotOptions { Since = first }, cancellationToken: Cancellation), 1000, async stream =>
        {
            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(stream, first, Cancellation);
            target.Machine.Restore(loaded);
            Assert.Equal(expected, SnapshotBoard.Describe(target));
        });
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
        await LoadDamaged(stream => recording.SaveAsync(stream, cancellationToken: Cancellation), 1000, async stream =>
        {
            using MachineRecording loaded = await MachineRecording.LoadAsync(stream, Cancellation);
            target.Machine.Replay(loaded);
            Assert.Equal(ExitReason.ReplayEnded, target.Machine.Run(Cancellation).Reason);
            Assert.Equal(recording.LastInstruction, target.Machine.Retired);
        });
    }

    /// <summary>Loads damaged copies of what is saved.</summary>
    /// <param name="save">Saves it.</param>
    /// <param name="usual">How many copies outside a soak.</param>
    /// <param name="load">Loads one, and compares it.</param>
    private static async Task LoadDamaged(Func<MemoryStream, Task> save, int usual, Func<MemoryStream, Task> load)
    {
        Random random = Seed.Random();
        using var stream = new MemoryStream();
        await save(stream);
        byte[] whole = stream.ToArray();
        await load(new MemoryStream(whole));
        int count = Soak.Time is null ? usual : 100_000, refused = 0;
        long most = 0;
        for (int round = 0; round < count; round++)
        {
            byte[] damaged = Damage(whole, random);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                await load(new MemoryStream(damaged));
            }
            catch (InvalidSnapshotException e)
            {
                Assert.NotEmpty(e.Message);
                most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
                refused++;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{whole.Length} bytes; {refused} of {count} refused, with {most} bytes allocated at most");
        Assert.True(refused > count * 3 / 4, $"{refused} of {count} refused");
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
