using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace VirtKit.Time;

/// <summary>The host's monotonic time since construction. One thread sleeps until the earliest deadline.</summary>
/// <remarks>The sleeping thread does not keep the clock: it ends with a machine that nobody disposed of.</remarks>
internal sealed class HostClock : MachineClock, IDisposable
{
    /// <summary>How long <see cref="Close"/> waits for a callback that does not return.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly TimerQueue _timers = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly ulong _calendarStart;
    private readonly Alarm _alarm = new();
    private readonly Lock _threadGate = new();
    private readonly Action? _threadStarts;
    private Thread? _thread;
    private bool _closed;

    /// <param name="calendarStart">The calendar time at 0.</param>
    /// <param name="threadStarts">Called on the clock's thread before its first callback. It does not refer to the clock.</param>
    public HostClock(DateTimeOffset calendarStart, Action? threadStarts = null)
    {
        _threadStarts = threadStarts;
        _calendarStart = (ulong)(calendarStart - DateTimeOffset.UnixEpoch).Ticks * 100;
        _timers.EarliestChanged += OnEarliestChanged;
    }

    ~HostClock() => _alarm.Close();

    /// <inheritdoc cref="TimerQueue.Failed"/>
    public event Action<Exception>? TimerFailed
    {
        add => _timers.Failed += value;
        remove => _timers.Failed -= value;
    }

    public override ulong Now => (ulong)((Int128)(Stopwatch.GetTimestamp() - _start) * 1_000_000_000 / Stopwatch.Frequency);

    public override ulong CalendarNow => _calendarStart + Now;

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);

    public void Dispose() => Close(waits: true);

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

        _alarm.Close();
        GC.SuppressFinalize(this);
        if (waits && thread is not null && thread != Thread.CurrentThread)
            thread.Join(Patience);
    }

    private void OnEarliestChanged()
    {
        lock (_threadGate)
        {
            if (_thread is null && !_closed)
            {
                var clock = new WeakReference<HostClock>(this);
                Alarm alarm = _alarm;
                Action? starts = _threadStarts;
                var thread = new Thread(() => Serve(clock, alarm, starts)) { IsBackground = true, Name = "VirtKit clock" };
                thread.Start();
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
        clock._timers.Fire(clock.Now);
        ulong next = clock._timers.NextDeadline, now = clock.Now;
        // The alarm counts in milliseconds; rounding up is late by at most one, rounding down would spin.
        milliseconds = next == ulong.MaxValue ? Timeout.Infinite : next <= now ? 0 : (int)Math.Min((next - now + 999_999) / 1_000_000, int.MaxValue);
        return true;
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
