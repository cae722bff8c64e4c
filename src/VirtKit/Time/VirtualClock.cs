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
    private int _thread;

    public VirtualClock(ulong nanosecondsPerInstruction, DateTimeOffset calendarStart)
    {
        _nanosecondsPerInstruction = nanosecondsPerInstruction;
        _calendarStart = (ulong)(calendarStart - DateTimeOffset.UnixEpoch).Ticks * 100;
        _timers.EarliestChanged += () =>
        {
            CutSlice();
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

    /// <summary>On the scheduler's thread exact to the instruction; on others as of the start of the slice under way.</summary>
    public override ulong Now
    {
        get
        {
            ulong start = Volatile.Read(ref _sliceStart);
            return _running is { } core && IsHere ? start + (core.Retired - _retiredAtStart) * _nanosecondsPerInstruction : start;
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

    private bool IsHere => _thread == Environment.CurrentManagedThreadId;

    /// <summary>The current thread moves the clock from here on.</summary>
    public void Attach() => _thread = Environment.CurrentManagedThreadId;

    public void Begin(VcpuCore core)
    {
        _retiredAtStart = core.Retired;
        _running = core;
    }

    /// <summary>Moves the clock by what retired, and fires what has become due. A slice without an instruction fires nothing: a stop may have cut it, and must not be seen.</summary>
    public void End()
    {
        ulong now = Now;
        _running = null;
        if (now == _sliceStart)
            return;
        Volatile.Write(ref _sliceStart, now);
        _timers.Fire(now);
    }

    /// <summary>All vCPUs wait: moves to the next deadline and fires it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool SkipToNextDeadline()
    {
        ulong next = _timers.NextDeadline;
        if (next == ulong.MaxValue)
            return false;
        Volatile.Write(ref _sliceStart, Math.Max(_sliceStart, next));
        _timers.Fire(_sliceStart);
        return true;
    }

    /// <summary>A deadline that was set from inside the slice may lie inside it: the slice ends after this instruction and is cut anew, on every engine at the same place.</summary>
    private void CutSlice()
    {
        if (_running is not { } core)
            return;
        if (IsHere)
            core.EndSlice();
        else
            core.RequestExit();
    }

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);
}
