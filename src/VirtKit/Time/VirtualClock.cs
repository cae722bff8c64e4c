using VirtKit.Engines;

namespace VirtKit.Time;

/// <summary>Time counted in retired instructions: the same run sees the same times. It moves while a vCPU runs, and jumps to the next deadline when all wait.</summary>
/// <remarks>The scheduler's thread moves it; other threads may read it and set timers, at the price of repeatability.</remarks>
internal sealed class VirtualClock : MachineClock
{
    private readonly TimerQueue _timers = new();
    private readonly ulong _nanosecondsPerInstruction;
    private readonly ulong _calendarStart;
    private ulong _sliceStart;
    private ulong _retiredAtStart;
    private VcpuCore? _running;

    public VirtualClock(ulong nanosecondsPerInstruction, DateTimeOffset calendarStart)
    {
        _nanosecondsPerInstruction = nanosecondsPerInstruction;
        _calendarStart = (ulong)(calendarStart - DateTimeOffset.UnixEpoch).Ticks * 100;
        // A deadline set from inside the slice may lie inside it: the slice ends after this instruction and is cut anew, on every engine at the same place.
        _timers.EarliestChanged += () =>
        {
            _running?.EndSlice();
            DeadlineChanged?.Invoke();
        };
    }

    /// <summary>A timer became the earliest, perhaps on a thread that is not the scheduler's.</summary>
    public event Action? DeadlineChanged;

    /// <inheritdoc cref="TimerQueue.Failed"/>
    public event Action<Exception>? TimerFailed
    {
        add => _timers.Failed += value;
        remove => _timers.Failed -= value;
    }

    public bool HasDeadline => _timers.NextDeadline != ulong.MaxValue;

    public override ulong Now
    {
        get
        {
            VcpuCore? core = _running;
            return _sliceStart + (core is null ? 0 : (core.Retired - _retiredAtStart) * _nanosecondsPerInstruction);
        }
    }

    public override ulong CalendarNow => _calendarStart + Now;

    /// <summary>How many instructions fit before the next deadline, at least 1 and at most <paramref name="quantum"/>.</summary>
    public ulong Slice(ulong quantum)
    {
        ulong next = _timers.NextDeadline;
        if (next == ulong.MaxValue)
            return quantum;
        ulong distance = next > _sliceStart ? next - _sliceStart : 0;
        ulong instructions = distance / _nanosecondsPerInstruction + (distance % _nanosecondsPerInstruction != 0 ? 1UL : 0);
        return Math.Clamp(instructions, 1, quantum);
    }

    public void Begin(VcpuCore core)
    {
        _retiredAtStart = core.Retired;
        _running = core;
    }

    public void End()
    {
        _sliceStart = Now;
        _running = null;
        _timers.Fire(_sliceStart);
    }

    /// <summary>All vCPUs wait: moves to the next deadline and fires it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool SkipToNextDeadline()
    {
        ulong next = _timers.NextDeadline;
        if (next == ulong.MaxValue)
            return false;
        _sliceStart = Math.Max(_sliceStart, next);
        _timers.Fire(_sliceStart);
        return true;
    }

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);
}
