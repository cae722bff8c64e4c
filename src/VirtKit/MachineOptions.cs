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

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, whether the time in which all vCPUs wait is skipped, which is the default, or passes as on the host.</summary>
    public IdleTime IdleTime { get; init; } = IdleTime.Skipped;

    /// <summary>With <see cref="VcpuScheduling.Threads"/>, whether the guest's time stands while the machine does not run, which is the default, or runs on.</summary>
    public StoppedTime StoppedTime { get; init; } = StoppedTime.Held;

    /// <summary>What a run of all vCPUs does when none can go on by itself; by default it ends. A vCPU that waits with an interrupt source enabled waits for the host's
    /// input in any case. KVM with the kernel's own interrupt controllers does not tell when a vCPU halts: such a machine always waits.</summary>
    public HaltPolicy WhenHalted { get; init; } = HaltPolicy.End;

    /// <summary>The calendar time at which the machine starts, for real-time clocks, from 1970-01-01 to 2200-01-01 UTC; <see langword="null"/> for the host's time with
    /// <see cref="VcpuScheduling.Threads"/> and for 2000-01-01 UTC, the same in every run, with <see cref="VcpuScheduling.Deterministic"/>.</summary>
    public DateTimeOffset? CalendarStart { get; init; }

    /// <summary>Where the machine logs.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>How the vCPUs of a machine share the host, and with it which time the guest sees.</summary>
public enum VcpuScheduling
{
    /// <summary>All vCPUs run in turns on the thread that calls <see cref="Machine.Run(CancellationToken)"/>, in virtual time counted in instructions: the same input gives the
    /// same run, to the instruction. Time in which all vCPUs wait is skipped (<see cref="MachineOptions.IdleTime"/>), so a guest's clock may run far ahead of the host's,
    /// and a guest that times itself measures instructions, not the speed of the engine.</summary>
    Deterministic,

    /// <summary>Each vCPU has its own thread, in the host's time, which stands while the machine does not run (<see cref="MachineOptions.StoppedTime"/>).</summary>
    Threads,
}
