using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VirtKit.Engines;

namespace VirtKit;

/// <summary>What a <see cref="Machine"/> is made of. Validated once, by the machine's constructor.</summary>
public sealed record MachineOptions
{
    /// <summary>The guest architecture with its configuration.</summary>
    public required GuestArchitecture Architecture { get; init; }

    /// <summary>The engine that runs the guest; <see langword="null"/> for the interpreter.</summary>
    public ExecutionEngine? Engine { get; init; }

    /// <summary>The number of vCPUs, 1 to 64.</summary>
    public int VcpuCount { get; init; } = 1;

    /// <summary>How the machine's vCPUs share the host.</summary>
    public VcpuScheduling Scheduling { get; init; } = VcpuScheduling.Deterministic;

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, how many instructions a vCPU runs before it is the next one's turn: 1 or more.</summary>
    public ulong Quantum { get; init; } = 100_000;

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, how long a retired instruction takes in virtual time, in nanoseconds: 1 to 1,000,000.</summary>
    public ulong NanosecondsPerInstruction { get; init; } = 10;

    /// <summary>The calendar time at which the machine starts, for real-time clocks; <see langword="null"/> for the host's time with
    /// <see cref="VcpuScheduling.Threads"/> and for 2000-01-01 UTC, the same in every run, with <see cref="VcpuScheduling.Deterministic"/>.</summary>
    public DateTimeOffset? CalendarStart { get; init; }

    /// <summary>Where the machine logs.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>How the vCPUs of a machine share the host, and with it which time the guest sees.</summary>
public enum VcpuScheduling
{
    /// <summary>All vCPUs run in turns on the thread that calls <see cref="Machine.Run(CancellationToken)"/>, in virtual time counted in instructions: the same input gives the
    /// same run, to the instruction.</summary>
    Deterministic,

    /// <summary>Each vCPU has its own thread, in the host's time.</summary>
    Threads,
}
