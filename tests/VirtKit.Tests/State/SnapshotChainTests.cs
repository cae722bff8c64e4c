using System.IO.Compression;
using VirtKit.Devices.Boards;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>Snapshots one after the other of one machine: what they share, and files of what has changed.</summary>
public sealed class SnapshotChainTests
{
    public static TheoryData<string> Engines => [.. RiscVEngines.All];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Capture_AgainAndAgain_CopiesWhatChangedSinceTheLast(string engine)
    {
        using RiscVVirt board = Board(engine);
        board.Machine.Memory.Write(new Gpa(0x8080_0000), Enumerable.Repeat((byte)7, 4 << 20).ToArray());
        using MachineSnapshot first = board.Machine.Capture();
        Assert.Equal(0, PagesOf(first));
        board.Machine.Memory.Write(new Gpa(0x8080_0ffe), [1, 2, 3, 4]);
        using MachineSnapshot second = board.Machine.Capture();
        Assert.Equal(2, PagesOf(second));
        board.Machine.Memory.Write(new Gpa(0x80a0_0000), [1]);
        using MachineSnapshot third = board.Machine.Capture();
        Assert.Equal(1, PagesOf(third));
        // What is as it was, and what is as it was first.
        board.Machine.Memory.Write(new Gpa(0x80a0_0000), [1]);
        board.Machine.Memory.Write(new Gpa(0x8080_0ffe), [7, 7, 7, 7]);
        using MachineSnapshot fourth = board.Machine.Capture();
        Assert.Equal(0, PagesOf(fourth));
        board.Machine.Run(50_000, Cancellation);
        using MachineSnapshot fifth = board.Machine.Capture();
        Assert.InRange(PagesOf(fifth), 1, 200);

        static long PagesOf(MachineSnapshot snapshot) => (snapshot.OwnBytes - snapshot.State.Length) / 4096;
    }

    /// <summary>Writes by the guest and by the host, restores and disposals in any order: each snapshot stays what it was.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Snapshots_InAnyOrder_StayWhatTheyWere(string engine)
    {
        Random random = Seed.Random();
        RiscVVirt[] boards = [Board(engine), Board("interpreter", loads: false)];
        List<(MachineSnapshot Snapshot, string Content)> kept = [];
        for (int round = 0; round < 150; round++)
        {
            RiscVVirt board = boards[random.Next(boards.Length)];
            switch (random.Next(6))
            {
                case 0:
                    board.Machine.Run((ulong)random.Next(20_000), Cancellation);
                    break;
                case 1:
                    byte[] bytes = new byte[random.Next(1, 2 << 20)];
                    bytes.AsSpan().Fill((byte)random.Next(3));
                    board.Machine.Memory.Write(new Gpa(0x8040_0000 + (ulong)random.Next(4 << 20)), bytes);
                    break;
                case 2 when kept.Count > 0:
                    (MachineSnapshot restored, string content) = kept[random.Next(kept.Count)];
                    board.Machine.Restore(restored);
                    Assert.Equal(content, Describe(board));
                    break;
                case 3 when kept.Count > 6:
                    int gone = random.Next(kept.Count);
                    kept[gone].Snapshot.Dispose();
                    kept.RemoveAt(gone);
                    break;
                default:
                    kept.Add((board.Machine.Capture(), Describe(board)));
                    break;
            }
        }

        foreach ((MachineSnapshot snapshot, string content) in kept)
        {
            boards[0].Machine.Restore(snapshot);
            Assert.Equal(content, Describe(boards[0]));
            snapshot.Dispose();
        }

        Array.ForEach(boards, board => board.Dispose());
    }

    [Theory]
    [InlineData(null)]
    [InlineData(CompressionLevel.Fastest)]
    public async Task SaveSince_AChain_LoadsAsTheWhole(CompressionLevel? compression)
    {
        using RiscVVirt board = Board("interpreter"), other = Board("interpreter", loads: false);
        board.Machine.Memory.Write(new Gpa(0x8080_0000), Enumerable.Repeat((byte)7, 1 << 20).ToArray());
        using MachineSnapshot first = board.Machine.Capture();
        byte[] whole = await Save(first, null);
        MachineSnapshot before = first, loaded = await MachineSnapshot.LoadAsync(new MemoryStream(whole), Cancellation);
        for (int step = 0; step < 4; step++)
        {
            board.Machine.Run(20_000, Cancellation);
            // A page becomes zero, which a whole file leaves out.
            board.Machine.Memory.Write(new Gpa(0x8080_0000 + (ulong)step * 4096), new byte[4096]);
            MachineSnapshot snapshot = board.Machine.Capture();
            byte[] changes = await Save(snapshot, before);
            Assert.InRange(changes.Length, 4096 / 100, 900_000);
            MachineSnapshot next = await MachineSnapshot.LoadAsync(new MemoryStream(changes), loaded, Cancellation);
            loaded.Dispose();
            loaded = next;
            Assert.Equal(snapshot.Fingerprint, loaded.Fingerprint);
            Assert.NotEqual(before.Fingerprint, loaded.Fingerprint);
            other.Machine.Restore(loaded);
            Assert.Equal(Describe(board), Describe(other));
            before = snapshot;
        }

        loaded.Dispose();

        async Task<byte[]> Save(MachineSnapshot snapshot, MachineSnapshot? since)
        {
            using var stream = new MemoryStream();
            await snapshot.SaveAsync(stream, new SnapshotOptions { Compression = compression, Since = since }, cancellationToken: Cancellation);
            return stream.ToArray();
        }
    }

    /// <summary>Also of machines that have nothing in common but how they are composed, and of one that stands alone.</summary>
    [Fact]
    public async Task SaveSince_OfAnotherMachine_LoadsAsTheWhole()
    {
        using RiscVVirt board = Board("interpreter"), other = Board("interpreter");
        board.Machine.Run(100_000, Cancellation);
        other.Machine.Run(30_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture(), since = other.Machine.Capture();
        using var stream = new MemoryStream();
        await snapshot.SaveAsync(stream, new SnapshotOptions { Since = since }, cancellationToken: Cancellation);
        stream.Position = 0;
        using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(stream, since, Cancellation);
        Assert.Equal(snapshot.Fingerprint, loaded.Fingerprint);
        stream.SetLength(0);
        await snapshot.SaveAsync(stream, cancellationToken: Cancellation);
        stream.Position = 0;
        using MachineSnapshot alone = await MachineSnapshot.LoadAsync(stream, since, Cancellation);
        Assert.Equal(snapshot.Fingerprint, alone.Fingerprint);
    }

    [Fact]
    public async Task LoadSince_TheWrongOne_IsRefused()
    {
        using RiscVVirt board = Board("interpreter");
        using MachineSnapshot first = board.Machine.Capture();
        board.Machine.Run(10_000, Cancellation);
        using MachineSnapshot second = board.Machine.Capture();
        using var stream = new MemoryStream();
        await second.SaveAsync(stream, new SnapshotOptions { Since = first }, cancellationToken: Cancellation);
        byte[] changes = stream.ToArray();
        Assert.Contains("not given", (await Refused(null)).Message, StringComparison.Ordinal);
        Assert.Contains("another one than", (await Refused(second)).Message, StringComparison.Ordinal);
        using var toy = new RiscVVirt(new RiscVVirtOptions { MemorySize = 8 << 20 });
        using MachineSnapshot unlike = toy.Machine.Capture();
        Assert.Contains("another one than", (await Refused(unlike)).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => second.SaveAsync(new MemoryStream(), new SnapshotOptions { Since = unlike }, cancellationToken: Cancellation));
        first.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => second.SaveAsync(new MemoryStream(), new SnapshotOptions { Since = first }, cancellationToken: Cancellation));

        Task<InvalidSnapshotException> Refused(MachineSnapshot? since) =>
            Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.LoadAsync(new MemoryStream(changes), since, Cancellation));
    }

    /// <summary>Every field of the state in turn is made one that cannot be: a restore either refuses it and leaves the machine as it was, or takes it.</summary>
    [Fact]
    public async Task Restore_OfADamagedValue_ChangesNothing()
    {
        using RiscVVirt board = Board("interpreter"), target = Board("interpreter");
        board.Machine.Run(100_000, Cancellation);
        target.Machine.Run(5_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        using MachineSnapshot start = target.Machine.Capture();
        string before = Describe(target);
        using var stream = new MemoryStream();
        await snapshot.SaveAsync(stream, cancellationToken: Cancellation);
        int refused = 0, taken = 0;
        foreach (int place in Values(snapshot.State.ToArray()))
        {
            byte[] state = snapshot.State.ToArray();
            state[place] ^= 0xff;
            using MachineSnapshot damaged = await WithState(stream.ToArray(), state);
            try
            {
                target.Machine.Restore(damaged);
                taken++;
                target.Machine.Restore(start);
            }
            catch (InvalidSnapshotException)
            {
                refused++;
            }

            Assert.Equal(before, Describe(target));
        }

        Assert.True(refused > 30 && taken > 30, $"{refused} refused, {taken} taken");
    }

    /// <summary>Where the last byte of each field's content is.</summary>
    private static IEnumerable<int> Values(byte[] state)
    {
        for (int at = 0; at < state.Length;)
        {
            int type = at + 1 + state[at], length = BitConverter.ToInt32(state, type + 1);
            at = type + 5;
            // A part's content is records.
            if (state[type] == 1)
                continue;
            at += length;
            if (length > 0)
                yield return at - 1;
        }
    }

    /// <summary>A file with another state in it.</summary>
    private static async Task<MachineSnapshot> WithState(byte[] file, byte[] state)
    {
        var reader = new SectionReader(new MemoryStream(file, 12, file.Length - 12));
        using var forged = new MemoryStream();
        forged.Write(file.AsSpan(0, 12));
        var writer = new SectionWriter(forged);
        for (SectionKind kind = SectionKind.Header; kind != SectionKind.End;)
        {
            (kind, ReadOnlyMemory<byte> content) = await reader.ReadAsync(_ => int.MaxValue, Cancellation);
            await writer.WriteAsync(kind, kind == SectionKind.State ? state : content, Cancellation);
        }

        forged.Position = 0;
        return await MachineSnapshot.LoadAsync(forged, Cancellation);
    }
}
