using VirtKit.Engines;

namespace VirtKit.Sandboxing;

/// <summary>What the builder has been told. A value; sandboxes that are made from one another share it.</summary>
internal sealed record SandboxOptions
{
    public ulong Memory { get; init; } = 64 << 20;

    public ulong Stack { get; init; } = 256 << 10;

    public ulong Budget { get; init; } = ulong.MaxValue;

    public TimeSpan Deadline { get; init; } = Timeout.InfiniteTimeSpan;

    public int Reentry { get; init; } = 8;

    public ulong Output { get; init; } = 1 << 20;

    public Action<string>? Log { get; init; }

    public ExecutionEngine? Engine { get; init; }
}
