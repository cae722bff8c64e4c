using System.IO.Compression;
using VirtKit.Devices.Boards;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>Snapshots in files: saved, loaded, damaged, forged and old ones.</summary>
public sealed class SnapshotFileTests
{
    public static TheoryData<int, string> VersionsAndEngines =>
        new(Enumerable.Range(1, MachineSnapshot.FormatVersion).SelectMany(version => RiscVEngines.All.Select(engine => (version, engine))));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData(CompressionLevel.Fastest)]
    public async Task Save_ThenLoad_IsTheSame(CompressionLevel? compression)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(700_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        await File.WriteAllTextAsync(path, "what was there", Cancellation);
        double told = 0;
        await snapshot.SaveAsync(path, new SnapshotOptions { Compression = compression }, new Synchronous(share => told = Math.Max(told, share)), Cancellation);
        Assert.Equal(1, told);
        Assert.Equal([path], Directory.GetFiles(folder.Path));
        using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(path, Cancellation);
        Assert.Equal((snapshot.Architecture, snapshot.VcpuCount, snapshot.MemorySize), (loaded.Architecture, loaded.VcpuCount, loaded.MemorySize));
        using RiscVVirt other = Board("interpreter", loads: false);
        other.Machine.Restore(loaded);
        Assert.Equal(Describe(board), Describe(other));
        // Sparse: far from the 16 MiB of the guest.
        Assert.InRange(new FileInfo(path).Length, 10_000, 1 << 20);
    }

    [Fact]
    public async Task Save_ThatIsCancelled_LeavesTheOldFileAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(700_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        await snapshot.SaveAsync(path, cancellationToken: Cancellation);
        byte[] before = await File.ReadAllBytesAsync(path, Cancellation);
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => snapshot.SaveAsync(path, null, new Synchronous(_ => stop.Cancel()), stop.Token));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
        Assert.Equal(before, await File.ReadAllBytesAsync(path, Cancellation));
    }

    /// <summary>A process that saves over one file again and again is killed in the middle: the file is whole each time, the old one or the new one.</summary>
    [Fact]
    public async Task Save_InAProcessThatIsKilled_LeavesAWholeFile()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        int rounds = Soak.Time is null ? 12 : 200, partial = 0;
        Random random = Seed.Random();
        using RiscVVirt target = Board("interpreter", loads: false);
        for (int round = 0; round < rounds; round++)
        {
            File.Delete(Saver.ReadyFile(path));
            using System.Diagnostics.Process saver = System.Diagnostics.Process.Start("dotnet", [typeof(SnapshotFileTests).Assembly.Location, Saver.Command, path]);
            try
            {
                Assert.True(SpinWait.SpinUntil(() => File.Exists(Saver.ReadyFile(path)) || saver.HasExited, Hang.Limit) && !saver.HasExited, "The process does not save.");
                await Task.Delay(random.Next(100), Cancellation);
            }
            finally
            {
                saver.Kill();
                await saver.WaitForExitAsync(Cancellation);
            }

            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(path, Cancellation);
            target.Machine.Restore(loaded);
            foreach (string left in Directory.GetFiles(folder.Path, "*.partial"))
            {
                partial++;
                File.Delete(left);
            }
        }

        Assert.True(partial > 0, "No process was killed in the middle of a file.");
    }

    /// <summary>Files whose checksums fit and whose content does not: from somebody who knows the format.</summary>
    [Fact]
    public async Task Load_OfForgedSections_IsRefused()
    {
        byte[] header = [.. BitConverter.GetBytes(3L), .. "toy"u8, .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(0L), .. BitConverter.GetBytes(8192L), .. BitConverter.GetBytes(1L)];
        byte[] huge = [.. header];
        BitConverter.GetBytes(1L << 45).CopyTo(huge, huge.Length - 16);
        byte[] piece = [.. new byte[16], .. new byte[4096]], outside = [.. piece], unaligned = [.. piece], elsewhere = [.. piece], unknown = [.. piece];
        (outside[8 + 1], unaligned[8], elsewhere[0], unknown[4]) = (0x20, 8, 1, 2);
        await Forge((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.Memory, piece), (SectionKind.End, []));
        foreach (byte[] wrong in (byte[][])[outside, unaligned, elsewhere, unknown, piece[..16], piece[..7]])
            await Refused((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.Memory, wrong), (SectionKind.End, []));
        await Refused((SectionKind.Header, header[..^1]), (SectionKind.State, []), (SectionKind.End, []));
        await Refused((SectionKind.State, []), (SectionKind.Header, header), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, [4, 1, 2]), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.State, []), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, []));
        // As much address space as it says, and no memory.
        await Forge((SectionKind.Header, huge), (SectionKind.State, []), (SectionKind.End, []));

        static async Task Forge(params (SectionKind Kind, byte[] Content)[] sections)
        {
            var stream = new MemoryStream();
            stream.Write("VKSNAP\r\n"u8);
            stream.Write(BitConverter.GetBytes(1));
            var writer = new SectionWriter(stream);
            foreach ((SectionKind kind, byte[] content) in sections)
                await writer.WriteAsync(kind, content, Cancellation);
            stream.Position = 0;
            (await MachineSnapshot.LoadAsync(stream, Cancellation)).Dispose();
        }

        static async Task Refused(params (SectionKind, byte[])[] sections) => await Assert.ThrowsAsync<InvalidSnapshotException>(() => Forge(sections));
    }

    [Fact]
    public async Task Load_OfAnotherKindOfFile_SaysWhatIsWrong()
    {
        Assert.Contains("no snapshot", (await Load([])).Message, StringComparison.Ordinal);
        Assert.Contains("no snapshot", (await Load("VKSNAP\n\n\u0001\0\0\0"u8.ToArray())).Message, StringComparison.Ordinal);
        Assert.Contains("version 4", (await Load("VKSNAP\r\n\u0004\0\0\0"u8.ToArray())).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<FileNotFoundException>(() => MachineSnapshot.LoadAsync("there-is-none.vksnap", Cancellation));

        static Task<InvalidSnapshotException> Load(byte[] bytes) => Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.LoadAsync(new MemoryStream(bytes), Cancellation));
    }

    /// <summary>A file of each version of the format, which every later build reads: a machine that has run 100,000 instructions, from a commit of that time.</summary>
    [Theory]
    [MemberData(nameof(VersionsAndEngines))]
    public async Task Load_OfAnEarlierVersionsFile_GoesOnAsItDidThen(int version, string engine)
    {
        string path = Path.Combine(Repository.Root, "tests", "VirtKit.Tests", "State", $"version-{version}.vksnap");
        if (version == MachineSnapshot.FormatVersion && Environment.GetEnvironmentVariable("VIRTKIT_WRITE_GOLDEN") is not null)
        {
            using RiscVVirt first = Board("interpreter");
            first.Machine.Run(100_000, Cancellation);
            using MachineSnapshot written = first.Machine.Capture();
            await written.SaveAsync(path, new SnapshotOptions { Compression = CompressionLevel.SmallestSize }, cancellationToken: Cancellation);
        }

        using MachineSnapshot snapshot = await MachineSnapshot.LoadAsync(path, Cancellation);
        using RiscVVirt board = Board(engine, loads: false), whole = Board(engine);
        board.Machine.Restore(snapshot);
        board.Machine.Run(50_000, Cancellation);
        whole.Machine.Run(150_000, Cancellation);
        Assert.Equal(Describe(whole), Describe(board));
    }

    private sealed class Synchronous(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }
}
