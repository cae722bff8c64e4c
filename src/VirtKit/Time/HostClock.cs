using System.Diagnostics;
using System.Runtime.CompilerServices;
using VirtKit.State;

namespace VirtKit.Time;

/// <summary>The host's monotonic time since construction, without the time in which the machine stood where that is held. One thread sleeps until the earliest deadline; timers
/// fire and posted actions run while the machine runs.</summary>
/// <remarks>The sleeping thread does not keep the clock: it ends with a machine that nobody disposed of.</remarks>
internal sealed class HostClock : MachineClock, ISnapshotable, IDisposable
{
    /// <summary>How long <see cref="Close"/> waits for a callback that does not return.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly TimerQueue _timers = new();
    private readonly PostQueue _posts = new();
    private ulong _calendarStart;
    private readonly bool _holds;

    // In the host's ticks. The time is the host's less _origin, or _stands where that is not negative; _version is odd while they change.
    private long _origin;
    private long _stands;
    private long _stoppedAt;
    private int _version;
    private volatile bool _running;

    private readonly Alarm _alarm = new();
    private readonly Lock _threadGate = new();
    private readonly object _serving = new();
    private readonly Action? _threadStarts;
    private Thread? _thread;
    private bool _closed;

    /// <param name="calendarStart">The calendar time at 0.</param>
    /// <param name="holds">Whether time stands between <see cref="Stop"/> and <see cref="Start"/>, as it does from the beginning.</param>
    /// <param name="threadStarts">Called on the clock's thread before its first callback. It does not refer to the clock.</param>
    public HostClock(DateTimeOffset calendarStart, bool holds, Action? threadStarts = null)
    {
        _holds = holds;
        _origin = Stopwatch.GetTimestamp();
        _stands = holds ? 0 : -1;
        _stoppedAt = -1;
        _threadStarts = threadStarts;
        _calendarStart = Nanoseconds(calendarStart);
        _timers.EarliestChanged += WakeIfRunning;
    }

    ~HostClock() => _alarm.Close();

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

    public override ulong Now
    {
        get
        {
            // TIMING POINT 7: Start and Stop change two numbers; a version that is odd or has changed says that they do not belong together.
            SpinWait wait = default;
            while (true)
            {
                int version = Volatile.Read(ref _version);
                long stands = Volatile.Read(ref _stands), ticks = stands >= 0 ? stands : Stopwatch.GetTimestamp() - Volatile.Read(ref _origin);
                Interlocked.MemoryBarrier();
                if ((version & 1) == 0 && version == Volatile.Read(ref _version))
                    return (ulong)((Int128)ticks * 1_000_000_000 / Stopwatch.Frequency);
                wait.SpinOnce(sleep1Threshold: -1);
            }
        }
    }

    public override ulong CalendarNow => Add(_calendarStart, Now);

    /// <summary>Whether the machine runs.</summary>
    public bool IsRunning => _running;

    /// <summary>The machine runs from here on. Its owner calls it.</summary>
    /// <returns>How long it stood since the last <see cref="Stop"/>; zero the first time.</returns>
    public TimeSpan Start()
    {
        long now = Stopwatch.GetTimestamp();
        if (_holds)
        {
            Interlocked.Increment(ref _version);
            Volatile.Write(ref _origin, now - _stands);
            Volatile.Write(ref _stands, -1);
            Interlocked.Increment(ref _version);
        }

        _running = true;
        // TIMING POINT 8: who sets a timer or posts does so first and reads _running then; here _running is set first and timers and posts are read then.
        Interlocked.MemoryBarrier();
        if (_thread is not null)
            _alarm.Ring();
        else if (!_posts.IsEmpty || _timers.NextDeadline != ulong.MaxValue)
            Wake();
        return _stoppedAt < 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_stoppedAt, now);
    }

    /// <summary>The machine stands from here on, and nothing fires: a callback that is under way is waited for, as long as <see cref="Close"/> does. Its owner calls it.</summary>
    public void Stop()
    {
        _running = false;
        if (Monitor.TryEnter(_serving, Patience))
            Monitor.Exit(_serving);
        if (!_holds)
        {
            _stoppedAt = Stopwatch.GetTimestamp();
            return;
        }

        // The host's time is read once no reader takes a later one: what it saw of this machine's time would be ahead of where that stands.
        Interlocked.Increment(ref _version);
        _stoppedAt = Stopwatch.GetTimestamp();
        Volatile.Write(ref _stands, _stoppedAt - _origin);
        Interlocked.Increment(ref _version);
    }

    public override void Post(object gate, Action action)
    {
        if (_posts.TryAdd(gate, action))
            WakeIfRunning();
    }

    /// <summary>Runs what was posted, while the machine stands.</summary>
    public void Drain()
    {
        lock (_serving)
            _posts.Drain();
    }

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);

    /// <inheritdoc cref="VirtualClock.Visit"/>
    public void Visit(StateVisitor visitor)
    {
        ulong now = Now, calendarStart = _calendarStart;
        visitor.Version(1);
        visitor.Field("now", ref now);
        visitor.Field("calendar start", ref calendarStart);
        visitor.Require(now <= long.MaxValue, "now", $"is {now}");
        if (!visitor.IsReading)
            return;
        long ticks = (long)((UInt128)now * (ulong)Stopwatch.Frequency / 1_000_000_000);
        _calendarStart = calendarStart;
        Interlocked.Increment(ref _version);
        if (_holds)
            Volatile.Write(ref _stands, ticks);
        else
            Volatile.Write(ref _origin, Stopwatch.GetTimestamp() - ticks);
        Interlocked.Increment(ref _version);
    }

    /// <inheritdoc cref="VirtualClock.VisitTimers"/>
    public void VisitTimers(StateVisitor visitor) => _timers.Visit(visitor);

    public void Dispose()
    {
        Close(waits: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the thread; timers fire no more. Any thread, also the clock's own.</summary>
    /// <param name="waits">Whether to wait for a callback that is under way, at most ten seconds; not where the current thread may hold what it waits for.</param>
    public void Close(bool waits)
    {
        Thread? thread;
        lock (_threadGate)
        {
            _closed = true;
            thread = _thread;
        }

        _posts.Close();
        _alarm.Close();
        if (waits && thread is not null && thread != Thread.CurrentThread)
            thread.Join(Patience);
    }

    private void WakeIfRunning()
    {
        Interlocked.MemoryBarrier();
        if (_running)
            Wake();
    }

    /// <summary>Makes the clock's thread look. A machine that neither sets a timer nor is posted to has none.</summary>
    private void Wake()
    {
        lock (_threadGate)
        {
            if (_thread is null && !_closed)
            {
                var clock = new WeakReference<HostClock>(this);
                Alarm alarm = _alarm;
                Action? starts = _threadStarts;
                var thread = new Thread(() => Serve(clock, alarm, starts)) { IsBackground = true, Name = "VirtKit clock" };
                try
                {
                    thread.Start();
                }
                catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
                {
                    throw new VirtKitException($"The host cannot start a thread for the machine's clock: {e.Message}", e);
                }

                _thread = thread;
            }
        }

        _alarm.Ring();
    }

    private static void Serve(WeakReference<HostClock> clock, Alarm alarm, Action? starts)
    {
        starts?.Invoke();
        while (TryFire(clock, out int milliseconds) && alarm.Wait(milliseconds))
        {
        }
    }

    /// <summary>Fires what is due. Not inlined: between two calls the thread's frame must not refer to the clock.</summary>
    /// <param name="milliseconds">How long it is to the next deadline.</param>
    /// <returns>Whether the clock is still there.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryFire(WeakReference<HostClock> reference, out int milliseconds)
    {
        milliseconds = 0;
        if (!reference.TryGetTarget(out HostClock? clock))
            return false;
        milliseconds = clock.Serve();
        return true;
    }

    /// <summary>Runs what was posted and fires what is due.</summary>
    /// <returns>Milliseconds until the next deadline.</returns>
    private int Serve()
    {
        lock (_serving)
        {
            if (!_running)
                return Timeout.Infinite;
            _posts.Drain();
            _timers.Fire(Now);
        }

        if (!_posts.IsEmpty)
            return 0;
        ulong next = _timers.NextDeadline, now = Now;
        // The alarm counts in milliseconds; rounding up is late by at most one, rounding down would spin.
        return next == ulong.MaxValue ? Timeout.Infinite : next <= now ? 0 : (int)Math.Min((next - now - 1) / 1_000_000 + 1, int.MaxValue);
    }

    /// <summary>What the thread sleeps on.</summary>
    private sealed class Alarm
    {
        private bool _rung;
        private bool _closed;

        /// <summary>Waits for the time to pass or for a ring; one that came since the last wait counts.</summary>
        /// <returns>Whether the alarm is still open.</returns>
        public bool Wait(int milliseconds)
        {
            lock (this)
            {
                if (!_rung && !_closed && milliseconds != 0)
                    Monitor.Wait(this, milliseconds);
                _rung = false;
                return !_closed;
            }
        }

        public void Ring()
        {
            lock (this)
            {
                _rung = true;
                Monitor.Pulse(this);
            }
        }

        public void Close()
        {
            lock (this)
            {
                _closed = true;
                Monitor.Pulse(this);
            }
        }
    }
}
