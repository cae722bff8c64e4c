using VirtKit.Engines;
using VirtKit.State;

namespace VirtKit.Time;

/// <summary>Time counted in retired instructions: the same run sees the same times. It moves while a vCPU runs, and jumps to the next deadline when all wait.</summary>
/// <remarks>The scheduler's thread moves it. Other threads may read it and set timers, at the price of repeatability; what they bring enters by <see cref="Post(object, Action)"/>.
/// A guest can move it far, by waiting for a far deadline: at its end, 584 years, it stands still.</remarks>
internal sealed class VirtualClock : MachineClock, ISnapshotable
{
    private readonly TimerQueue _timers = new();
    private readonly PostQueue _posts = new();
    private readonly Func<MachineInput?, bool> _admits;
    private readonly ulong _nanosecondsPerInstruction;
    private ulong _calendarStart;
    private ulong _sliceStart;
    private ulong _retiredAtStart;
    private ulong _instructions;

    /// <summary>How often idle time was skipped: with the instructions that tells the moments of a run apart.</summary>
    private ulong _skips;
    private volatile VcpuCore? _running;
    private int _thread;
    private int _hasNewPosts;

    public VirtualClock(ulong nanosecondsPerInstruction, DateTimeOffset calendarStart)
    {
        _nanosecondsPerInstruction = nanosecondsPerInstruction;
        _calendarStart = Nanoseconds(calendarStart);
        _admits = input =>
        {
            PostRuns?.Invoke(_instructions, _sliceStart);
            return Journal?.Admits(input, Moment) ?? true;
        };
        _timers.EarliestChanged += () =>
        {
            CutSlice();
            Changed?.Invoke();
        };
    }

    /// <summary>A timer became the earliest, or something was posted, perhaps on a thread that is not the scheduler's.</summary>
    public event Action? Changed;

    /// <summary>A posted action is about to run: behind so many instructions of all vCPUs, at this time. That is where a repetition of the run has to post it.</summary>
    public event Action<ulong, ulong>? PostRuns;

    /// <inheritdoc cref="TimerQueue.Failed"/>
    public event Action<object, Exception>? TimerFailed
    {
        add => _timers.Failed += value;
        remove => _timers.Failed -= value;
    }

    /// <inheritdoc cref="PostQueue.Failed"/>
    public event Action<object, Exception>? PostFailed
    {
        add => _posts.Failed += value;
        remove => _posts.Failed -= value;
    }

    /// <summary>The earliest deadline, or <see cref="ulong.MaxValue"/>.</summary>
    public ulong NextDeadline => _timers.NextDeadline;

    public bool HasPosts => !_posts.IsEmpty;

    /// <summary>How many instructions of all vCPUs have retired. No vCPU runs.</summary>
    public ulong Instructions => _instructions;

    /// <summary>Where the run is. No vCPU runs.</summary>
    public RunMoment Moment => new(_instructions, _skips);

    /// <summary>On the scheduler's thread exact to the instruction; on others as of the start of the slice under way.</summary>
    public override ulong Now
    {
        get
        {
            ulong start = Volatile.Read(ref _sliceStart);
            if (_running is not { } core || !IsHere)
                return start;
            ulong high = Math.BigMul(core.Retired - _retiredAtStart, _nanosecondsPerInstruction, out ulong low);
            ulong now = start + low;
            return high != 0 || now < start ? ulong.MaxValue : now;
        }
    }

    public override ulong CalendarNow => Add(_calendarStart, Now);

    private bool IsHere => _thread == Environment.CurrentManagedThreadId;

    /// <summary>How many instructions fit before the next deadline, at least 1 and at most <paramref name="quantum"/>.</summary>
    public ulong Slice(ulong quantum)
    {
        if (Journal is { } journal)
            quantum = Math.Min(quantum, journal.MostFrom(Moment));
        ulong next = _timers.NextDeadline;
        if (next == ulong.MaxValue)
            return quantum;
        ulong distance = next > _sliceStart ? next - _sliceStart : 0;
        ulong instructions = distance / _nanosecondsPerInstruction + (distance % _nanosecondsPerInstruction != 0 ? 1UL : 0);
        return Math.Clamp(instructions, 1, quantum);
    }

    /// <summary>The current thread moves the clock from here on.</summary>
    public void Attach() => _thread = Environment.CurrentManagedThreadId;

    public void Begin(VcpuCore core)
    {
        _retiredAtStart = core.Retired;
        _running = core;
        // TIMING POINT 6: a poster sets _hasNewPosts first and reads _running then; here _running is set first and _hasNewPosts is read then. One of the two cuts the slice.
        if (Interlocked.Exchange(ref _hasNewPosts, 0) != 0)
            core.RequestExit();
    }

    /// <summary>Moves the clock by what retired, and fires what has become due. A slice without an instruction fires nothing: a stop may have cut it, and must not be seen.</summary>
    public void End()
    {
        ulong now = Now, retired = _running!.Retired - _retiredAtStart;
        _running = null;
        if (retired == 0)
            return;
        _instructions += retired;
        Volatile.Write(ref _sliceStart, now);
        _timers.Fire(now);
    }

    /// <summary>Runs what was posted, or what a repeated run has here; between two slices.</summary>
    /// <returns>Whether there was something.</returns>
    public bool Drain()
    {
        bool ran = false;
        if (!_posts.IsEmpty)
        {
            Volatile.Write(ref _hasNewPosts, 0);
            ran = _posts.Drain(_admits);
        }

        return ran | Journal?.PassBetweenSlices(Moment) ?? ran;
    }

    /// <summary>Runs an input's handler that a repeated run has here.</summary>
    public void Repeat(MachineInput input) => _posts.Run(input.Gate, input.Arrive);

    /// <summary>All vCPUs wait: moves to the next deadline and fires it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool SkipToNextDeadline()
    {
        ulong next = _timers.NextDeadline;
        if (next == ulong.MaxValue)
            return false;
        Volatile.Write(ref _sliceStart, Math.Max(_sliceStart, next));
        _skips++;
        _timers.Fire(_sliceStart);
        return true;
    }

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);

    public override void Post(object gate, Action action) => Post(gate, action, null);

    internal override void Post(MachineInput input) => Post(input.Gate, input.Arrive, input);

    private void Post(object gate, Action action, MachineInput? input)
    {
        if (!_posts.TryAdd(gate, action, input))
            return;
        // What the scheduler's own thread posts between two slices waits behind the next one: an action that posts itself again does not keep the guest from running.
        if (_running is not null || !IsHere)
            Interlocked.Exchange(ref _hasNewPosts, 1);
        CutSlice();
        Changed?.Invoke();
    }

    public void Close() => _posts.Close();

    /// <summary>The time, without the timers. No vCPU runs.</summary>
    public void Visit(StateVisitor visitor)
    {
        ulong now = _sliceStart, instructions = _instructions, calendarStart = _calendarStart, skips = _skips;
        int version = visitor.Version(2);
        visitor.Field("now", ref now);
        visitor.Field("instructions", ref instructions);
        visitor.Field("calendar start", ref calendarStart);
        if (version >= 2)
            visitor.Field("skips", ref skips);
        if (!visitor.IsReading)
            return;
        Volatile.Write(ref _sliceStart, now);
        (_instructions, _calendarStart, _skips) = (instructions, calendarStart, version >= 2 ? skips : 0);
    }

    /// <summary>The timers, once everything that sets some has been restored.</summary>
    public void VisitTimers(StateVisitor visitor) => _timers.Visit(visitor);

    /// <summary>The slice under way ends: a deadline that was set from inside it may lie inside it, and what was posted waits for its end. From inside, that is after this
    /// instruction, on every engine at the same place.</summary>
    private void CutSlice()
    {
        if (_running is not { } core)
            return;
        if (IsHere)
            core.EndSlice();
        else
            core.RequestExit();
    }
}
