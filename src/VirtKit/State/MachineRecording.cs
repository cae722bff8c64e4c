namespace VirtKit.State;

/// <summary>A run of a deterministic machine: what it was at the beginning, and what came into it from outside. <see cref="Machine.Replay"/> repeats it, on either software
/// engine.</summary>
/// <remarks>Immutable. Thread-safe, but for <see cref="Dispose"/>. In a file it is a snapshot with a log behind it (docs/snapshot-format.md).</remarks>
/// <example>
/// <code>
/// machine.StartRecording();
/// machine.Run(budget: 50_000_000);
/// using VirtKit.State.MachineRecording recording = machine.StopRecording();
/// await recording.SaveAsync("run.vkrec");
/// </code>
/// </example>
public sealed class MachineRecording : IDisposable
{
    internal MachineRecording(MachineSnapshot start, InputLog log, bool isCut)
    {
        (Start, Log, IsCut) = (start, log, isCut);
        InputLog.Cursor cursor = default;
        InputEvent next = log.ReadEvent(ref cursor);
        FirstInstruction = next.Moment.Instructions;
        while (next.Kind != InputEventKind.End)
        {
            IsWhole &= next.Kind != InputEventKind.Foreign;
            next = log.ReadEvent(ref cursor);
        }

        LastInstruction = next.Moment.Instructions;
    }

    /// <summary>The machine at the beginning.</summary>
    public MachineSnapshot Start { get; }

    /// <summary>Where the recording begins, in instructions that all vCPUs have retired (<see cref="Machine.Retired"/>).</summary>
    public ulong FirstInstruction { get; }

    /// <summary>Where it ends.</summary>
    public ulong LastInstruction { get; }

    /// <summary>How many bytes the log has.</summary>
    public long LogSize => Log.Length;

    /// <summary>Whether it ends earlier than was asked, because the log became too long (<see cref="RecordingOptions.MaxLogSize"/>). Not saved.</summary>
    public bool IsCut { get; }

    /// <summary>Whether all that came in is in the log: not where somebody posted an action without an input.</summary>
    internal bool IsWhole { get; } = true;

    internal InputLog Log { get; }

    /// <summary>Writes the recording to a file, as <see cref="MachineSnapshot.SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/> does.</summary>
    /// <exception cref="ArgumentException"><see cref="SnapshotOptions.Since"/> is set: a recording stands alone.</exception>
    /// <inheritdoc cref="MachineSnapshot.SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/>
    public Task SaveAsync(string path, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        Start.SaveAsync(path, Alone(options), Log, progress, cancellationToken);

    /// <summary>Writes the recording to a stream, from where that stands.</summary>
    /// <param name="stream">The stream, which stays open and is not flushed.</param>
    /// <inheritdoc cref="SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/>
    public Task SaveAsync(Stream stream, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        Start.SaveAsync(stream, Alone(options), Log, progress, cancellationToken);

    /// <summary>Reads a recording from a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="InvalidSnapshotException">It is no recording, truncated, damaged, or of a newer version. Whether it fits a machine is seen by <see cref="Machine.Replay"/>.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="VirtKitException">The host has no memory for it.</exception>
    public static async Task<MachineRecording> LoadAsync(string path, CancellationToken cancellationToken = default)
    {
        FileStream file = MachineSnapshot.Open(path);
        await using (file.ConfigureAwait(false))
            return await LoadAsync(file, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads a recording from a stream, which then stands behind it.</summary>
    /// <param name="stream">The stream, which stays open.</param>
    /// <inheritdoc cref="LoadAsync(string, CancellationToken)"/>
    public static async Task<MachineRecording> LoadAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        (MachineSnapshot start, InputLog? log) = await MachineSnapshot.LoadWithLogAsync(stream, null, cancellationToken).ConfigureAwait(false);
        if (log is not null)
            return new MachineRecording(start, log, isCut: false);
        start.Dispose();
        throw new InvalidSnapshotException("This is a snapshot, and no recording.");
    }

    /// <summary>Releases the snapshot at the beginning. A machine that repeats the recording goes on with it.</summary>
    public void Dispose() => Start.Dispose();

    private static SnapshotOptions? Alone(SnapshotOptions? options) =>
        options?.Since is null ? options : throw new ArgumentException($"A recording stands alone, and is not saved with {nameof(SnapshotOptions)}.{nameof(SnapshotOptions.Since)}.", nameof(options));
}
