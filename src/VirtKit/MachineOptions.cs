using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VirtKit.Engines;

namespace VirtKit;

/// <summary>What a <see cref="VirtKit.Machine"/> is made of. Validated once, by the machine's constructor.</summary>
/// <example>
/// Four harts on threads of their own, in the host's time:
/// <code>
/// var options = new MachineOptions
/// {
///     Name = "worker 3",
///     Architecture = new RiscVArchitecture { Sbi = new SbiOptions() },
///     VcpuCount = 4,
///     Scheduling = VcpuScheduling.Threads,
///     Logger = logger,
/// };
/// </code>
/// </example>
public sealed record MachineOptions
{
    /// <summary>The guest architecture with its configuration.</summary>
    public required GuestArchitecture Architecture { get; init; }

    /// <summary>What the host calls the machine, by default <c>machine</c>: the tag <c>machine</c> of its metrics and activities, and the scope of its
    /// log entries. Not empty. Machines may share a name, but their metrics are then told apart by nothing.</summary>
    public string Name { get; init; } = "machine";

    /// <summary>The engine that runs the guest; <see langword="null"/>, the default, for the fastest that the application references and the host can use, as
    /// <see cref="EngineSelection.Choose(GuestArchitecture)"/> finds it: for RISC-V VirtKit.Accel's translator, otherwise the interpreter; for x86-64 VirtKit.Accel's KVM.
    /// <see cref="Machine.EngineSelection"/> says which it is, and why.</summary>
    public ExecutionEngine? Engine { get; init; }

    /// <summary>The number of vCPUs, 1 to 64; by default 1.</summary>
    public int VcpuCount { get; init; } = 1;

    /// <summary>How the machine's vCPUs share the host, and with it which time the guest sees; <see langword="null"/>, the default, for
    /// <see cref="VcpuScheduling.Deterministic"/> with an engine that counts instructions, and for <see cref="VcpuScheduling.Threads"/> with one that cannot
    /// (<see cref="ExecutionEngine.CountsInstructions"/>: KVM).</summary>
    public VcpuScheduling? Scheduling { get; init; }

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, how many instructions a vCPU runs before it is the next one's turn: 1 or more, by default
    /// 100,000.</summary>
    public ulong Quantum { get; init; } = 100_000;

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, how long a retired instruction takes in virtual time, in nanoseconds: 1 to 1,000,000, by default
    /// 10.</summary>
    public ulong NanosecondsPerInstruction { get; init; } = 10;

    /// <summary>With <see cref="VcpuScheduling.Deterministic"/>, whether the time in which all vCPUs wait is skipped, which is the default, or passes as on the host.</summary>
    public IdleTime IdleTime { get; init; } = IdleTime.Skipped;

    /// <summary>With <see cref="VcpuScheduling.Threads"/>, whether the guest's time stands while the machine does not run, which is the default, or runs on.</summary>
    public StoppedTime StoppedTime { get; init; } = StoppedTime.Held;

    /// <summary>What a run of all vCPUs does when none can go on by itself; by default it ends. A vCPU that waits with an interrupt source enabled waits for the host's
    /// input in any case. KVM with the kernel's own interrupt controllers does not tell when a vCPU halts: such a machine always waits.</summary>
    public HaltPolicy WhenHalted { get; init; } = HaltPolicy.End;

    /// <summary>The calendar time at which the machine starts, for real-time clocks, from 1970-01-01 to 2200-01-01 UTC; <see langword="null"/>, the default, for the host's time with
    /// <see cref="VcpuScheduling.Threads"/> and for 2000-01-01 UTC, the same in every run, with <see cref="VcpuScheduling.Deterministic"/>.</summary>
    public DateTimeOffset? CalendarStart { get; init; }

    /// <summary>Where the machine logs, from any thread; by default nowhere.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Makes the meter <c>VirtKit</c> that the machine's instruments are on, so that who made the factory tells its machines from others';
    /// <see langword="null"/>, the default, for one meter of the whole process. The machine disposes of neither.</summary>
    public IMeterFactory? MeterFactory { get; init; }
}

/// <summary>How the vCPUs of a machine share the host, and with it which time the guest sees.</summary>
public enum VcpuScheduling
{
    /// <summary>All vCPUs run in turns on the thread that calls <see cref="Machine.Run(CancellationToken)"/>, in virtual time: it advances with the instructions that
    /// are retired (<see cref="MachineOptions.NanosecondsPerInstruction"/>), and where every vCPU waits it is moved to the next timer at once
    /// (<see cref="MachineOptions.IdleTime"/>), so that idle time takes none of the host's. The same input gives the same run, to the instruction. A program that
    /// measures itself sees virtual time, not how fast it runs.</summary>
    Deterministic,

    /// <summary>Each vCPU has its own thread, in the host's time, which stands while the machine does not run (<see cref="MachineOptions.StoppedTime"/>): a guest
    /// that sleeps a second does so for one of the host's. Runs differ.</summary>
    Threads,
}
