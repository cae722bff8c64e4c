using System.Diagnostics;

namespace VirtKit.Time;

/// <summary>The host's monotonic time since construction. One thread sleeps until the earliest deadline.</summary>
internal sealed class HostClock : MachineClock, IDisposable
{
    private readonly TimerQueue _timers = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly ulong _calendarStart;
    private readonly object _sleep = new();
    private Thread? _thread;
    private bool _changed;
    private bool _disposed;

    private readonly Action? _threadStarts;

    /// <param name="calendarStart">The calendar time at 0.</param>
    /// <param name="threadStarts">Called on the clock's thread before its first callback.</param>
    public HostClock(DateTimeOffset calendarStart, Action? threadStarts = null)
    {
        _threadStarts = threadStarts;
        _calendarStart = (ulong)(calendarStart - DateTimeOffset.UnixEpoch).Ticks * 100;
        _timers.EarliestChanged += OnEarliestChanged;
    }

    /// <inheritdoc cref="TimerQueue.Failed"/>
    public event Action<Exception>? TimerFailed
    {
        add => _timers.Failed += value;
        remove => _timers.Failed -= value;
    }

    public override ulong Now => (ulong)((Int128)(Stopwatch.GetTimestamp() - _start) * 1_000_000_000 / Stopwatch.Frequency);

    public override ulong CalendarNow => _calendarStart + Now;

    public override ClockTimer CreateTimer(object gate, Action expired) => _timers.Create(gate, expired);

    public void Dispose()
    {
        Thread? thread;
        lock (_sleep)
        {
            _disposed = true;
            thread = _thread;
            Monitor.Pulse(_sleep);
        }

        thread?.Join();
    }

    private void OnEarliestChanged()
    {
        lock (_sleep)
        {
            _changed = true;
            if (_thread is null && !_disposed)
            {
                _thread = new Thread(Serve) { IsBackground = true, Name = "VirtKit clock" };
                _thread.Start();
            }

            Monitor.Pulse(_sleep);
        }
    }

    private void Serve()
    {
        _threadStarts?.Invoke();
        while (true)
        {
            _timers.Fire(Now);
            lock (_sleep)
            {
                while (!_changed && !_disposed)
                {
                    ulong next = _timers.NextDeadline, now = Now;
                    if (next <= now)
                        break;
                    // Monitor counts in milliseconds; rounding up is late by at most one, rounding down would spin.
                    ulong milliseconds = next == ulong.MaxValue ? int.MaxValue : Math.Min((next - now + 999_999) / 1_000_000, int.MaxValue);
                    Monitor.Wait(_sleep, (int)milliseconds);
                }

                _changed = false;
                if (_disposed)
                    return;
            }
        }
    }
}
