namespace VirtKit.State;

/// <summary>How a machine is recorded.</summary>
public sealed record RecordingOptions
{
    /// <summary>The most bytes of the log in memory, from 1 to 1 GiB; 256 MiB. A recording whose log becomes longer ends there (<see cref="MachineRecording.IsCut"/>), and the machine goes on.</summary>
    public long MaxLogSize { get; init; } = 256 << 20;
}

/// <summary>How a recorded run is repeated.</summary>
public sealed record ReplayOptions
{
    /// <summary>The most bytes that checkpoints take, from 0 on, where each has the run from the recording's beginning repeated; 1 GiB. They are made by <see cref="Machine.GoTo"/>.</summary>
    public long CheckpointMemory { get; init; } = 1L << 30;

    /// <summary>How many instructions lie between two checkpoints at first, 1 or more; 16,777,216. The distance grows where they would not fit.</summary>
    public ulong CheckpointDistance { get; init; } = 1 << 24;
}
