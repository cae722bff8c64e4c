using System.IO.Compression;
using System.IO.Pipelines;
using VirtKit.Devices.Boards;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>Snapshots whose file is the image of memory.</summary>
public sealed class MappedSnapshotTests
{
    private static readonly SnapshotOptions Mappable = new() { Layout = SnapshotLayout.Mappable };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static MatrixTheoryData<string, SnapshotVerification> EnginesAndVerifications => new([.. RiscVEngines.All], Enum.GetValues<SnapshotVerification>());

    [Theory]
    [MemberData(nameof(EnginesAndVerifications))]
    public async Task Map_OfASavedMachine_GoesOnAsIt(string engine, SnapshotVerification verification)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board(engine), other = Board(engine, loads: false), third = Board(engine, loads: false);
        // Twice, so that the second snapshot has changed pages over an image.
        board.Machine.Run(300_000, Cancellation);
        board.Machine.Capture().Dispose();
        board.Machine.Run(400_000, Cancellation);
        using (MachineSnapshot snapshot = board.Machine.Capture())
            await snapshot.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        using MachineSnapshot mapped = await MachineSnapshot.MapAsync(path, verification, Cancellation);
        other.Machine.Restore(mapped);
        third.Machine.Restore(mapped);
        Assert.Equal(Describe(board), Describe(other));
        board.Machine.Run(300_000, Cancellation);
        other.Machine.Run(300_000, Cancellation);
        // Over the file that is mapped, which stays what it is for those that show it.
        using (MachineSnapshot later = other.Machine.Capture())
            await later.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        Assert.Equal(Describe(board), Describe(other));
        using MachineSnapshot again = await MachineSnapshot.MapAsync(path, verification, Cancellation);
        File.Delete(path);
        mapped.Dispose();
        other.Machine.Restore(again);
        Assert.Equal(Describe(board), Describe(other));
        third.Machine.Run(300_000, Cancellation);
        Assert.Equal(Describe(board), Describe(third));
    }

    /// <summary>A chain: changes since a snapshot that is mapped.</summary>
    [Fact]
    public async Task Load_OfChangesSinceAMappedFile_IsTheSame()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter"), other = Board("interpreter", loads: false);
        board.Machine.Run(300_000, Cancellation);
        using MachineSnapshot first = board.Machine.Capture();
        await first.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        board.Machine.Run(1_000, Cancellation);
        using MachineSnapshot second = board.Machine.Capture();
        using MachineSnapshot mapped = await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation);
        using var changes = new MemoryStream();
        await second.SaveAsync(changes, new SnapshotOptions { Since = mapped }, cancellationToken: Cancellation);
        Assert.InRange(changes.Length, 4096, 1 << 20);
        changes.Position = 0;
        using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(changes, mapped, Cancellation);
        mapped.Dispose();
        other.Machine.Restore(loaded);
        Assert.Equal(Describe(board), Describe(other));
    }

    /// <summary>A file that could be mapped is read like any other, also from where nobody can seek, and what follows it is left there.</summary>
    [Fact]
    public async Task Load_OfAMappableFile_IsTheSame()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter"), other = Board("interpreter", loads: false);
        board.Machine.Run(300_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        await snapshot.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        using var stream = new MemoryStream();
        stream.Write("before"u8);
        await snapshot.SaveAsync(stream, Mappable, cancellationToken: Cancellation);
        Assert.Equal(await File.ReadAllBytesAsync(path, Cancellation), stream.ToArray()[6..]);
        stream.Write("behind"u8);
        stream.Position = 6;
        await LoadAndCompare(stream);
        await using (FileStream file = File.OpenRead(path))
            await LoadAndCompare(file);
        stream.Position = 6;
        await LoadAndCompare(PipeReader.Create(stream).AsStream());

        async Task LoadAndCompare(Stream from)
        {
            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(from, Cancellation);
            other.Machine.Restore(loaded);
            Assert.Equal(Describe(board), Describe(other));
            if (from == stream)
                Assert.Equal(stream.Length - 6, stream.Position);
        }
    }

    [Fact]
    public async Task Recording_SavedAsMappable_IsLoaded()
    {
        using var board = new RecordingBoard("interpreter");
        board.Machine.Hypercalls = new RecordingBoard.Answers(Seed.Random());
        board.Machine.StartRecording();
        board.Machine.Run(10_000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vkrec");
        await recording.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        using MachineRecording loaded = await MachineRecording.LoadAsync(path, Cancellation);
        board.Machine.Replay(loaded);
        Assert.Equal(ExitReason.ReplayEnded, board.Machine.Run(Cancellation).Reason);
        Assert.Contains("is a recording", (await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.MapAsync(path, cancellationToken: Cancellation))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_ThatDoNotGoTogether_AreRefused()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter");
        using MachineSnapshot snapshot = board.Machine.Capture();
        await Assert.ThrowsAsync<ArgumentException>(() => snapshot.SaveAsync(path, Mappable with { Compression = CompressionLevel.Fastest }, cancellationToken: Cancellation));
        await Assert.ThrowsAsync<ArgumentException>(() => snapshot.SaveAsync(path, Mappable with { Since = snapshot }, cancellationToken: Cancellation));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => snapshot.SaveAsync(path, Mappable with { Layout = (SnapshotLayout)2 }, cancellationToken: Cancellation));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => MachineSnapshot.MapAsync(path, (SnapshotVerification)2, Cancellation));
        Assert.Empty(Directory.GetFiles(folder.Path));
        await snapshot.SaveAsync(path, cancellationToken: Cancellation);
        Assert.Contains(nameof(SnapshotLayout.Mappable), (await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.MapAsync(path, cancellationToken: Cancellation))).Message, StringComparison.Ordinal);
    }

    /// <summary>As long as somebody shows the file, .NET's other users are kept out; a machine is not made of one that has changed.</summary>
    [Fact]
    public async Task File_ThatIsMapped_IsLockedAndLookedAfter()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Files are mapped on Linux.");
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        RiscVVirt board = Board("interpreter");
        using (MachineSnapshot snapshot = board.Machine.Capture())
            await snapshot.SaveAsync(path, Mappable, cancellationToken: Cancellation);
        MachineSnapshot mapped = await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation);
        board.Machine.Restore(mapped);
        Assert.Throws<IOException>(() => OpenToWrite().Dispose());
        (await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation)).Dispose();
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddSeconds(5));
        Assert.Contains("changed", Assert.Throws<InvalidSnapshotException>(() => board.Machine.Restore(mapped)).Message, StringComparison.Ordinal);
        board.Machine.Run(10_000, Cancellation);
        mapped.Dispose();
        Assert.Throws<IOException>(() => OpenToWrite().Dispose());
        board.Dispose();
        OpenToWrite().Dispose();

        FileStream OpenToWrite() => new(path, FileMode.Open, FileAccess.Write, FileShare.None);
    }

    /// <summary>A file of the format's third version, which is compressed here as a whole: a machine that has run 100,000 instructions, from a commit of that time.</summary>
    [Fact]
    public async Task Map_OfTheThirdVersionsFile_GoesOnAsItDidThen()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap"), golden = Path.Combine(Repository.Root, "tests", "VirtKit.Tests", "State", "version-3-mappable.vksnap.br");
        if (MachineSnapshot.FormatVersion == 3 && Environment.GetEnvironmentVariable("VIRTKIT_WRITE_GOLDEN") is not null)
        {
            using RiscVVirt first = Board("interpreter");
            first.Machine.Run(100_000, Cancellation);
            using MachineSnapshot written = first.Machine.Capture();
            await using var packed = new BrotliStream(File.Create(golden), CompressionLevel.SmallestSize);
            await written.SaveAsync(packed, Mappable, cancellationToken: Cancellation);
        }

        await using (var unpacked = new BrotliStream(File.OpenRead(golden), CompressionMode.Decompress))
        await using (FileStream file = File.Create(path))
            await unpacked.CopyToAsync(file, Cancellation);
        using MachineSnapshot snapshot = await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation);
        using RiscVVirt board = Board("interpreter", loads: false), whole = Board("interpreter");
        board.Machine.Restore(snapshot);
        board.Machine.Run(50_000, Cancellation);
        whole.Machine.Run(150_000, Cancellation);
        Assert.Equal(Describe(whole), Describe(board));
    }
}
