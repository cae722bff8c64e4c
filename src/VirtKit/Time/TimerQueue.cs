namespace VirtKit.Time;

/// <summary>The set timers of one clock in order of deadline, ties in order of setting, so that virtual time repeats exactly.</summary>
internal sealed class TimerQueue
{
    private readonly Lock _gate = new();
    private readonly SortedSet<(ulong Deadline, ulong Sequence, Timer Timer)> _set = new(Order.Instance);
    private ulong _sequence;

    /// <summary>Called outside the lock after a timer became the earliest.</summary>
    public event Action? EarliestChanged;

    /// <summary>The earliest deadline, or <see cref="ulong.MaxValue"/>.</summary>
    public ulong NextDeadline
    {
        get
        {
            lock (_gate)
                return _set.Count == 0 ? ulong.MaxValue : _set.Min.Deadline;
        }
    }

    public ClockTimer Create(object gate, Action expired) => new Timer(this, gate, expired);

    /// <summary>A callback threw, which is a device's bug and must not end the host's process.</summary>
    public event Action<object, Exception>? Failed;

    /// <summary>Runs what is due at <paramref name="now"/>, each callback under its device's gate and outside the queue's lock. What the callbacks set is for the next call,
    /// also where it is due: a device that sets its timer to "now" in its own callback gets it again, but holds nobody up for ever.</summary>
    public void Fire(ulong now)
    {
        ulong limit;
        lock (_gate)
            limit = _sequence;
        while (true)
        {
            Timer timer;
            ulong version;
            lock (_gate)
            {
                if (_set.Count == 0 || _set.Min.Deadline > now)
                    return;
                var entry = _set.Min;
                if (entry.Sequence >= limit && !TryFindOlder(now, limit, out entry))
                    return;
                _set.Remove(entry);
                timer = entry.Timer;
                timer.Entry = null;
                version = timer.Version;
            }

            lock (timer.Gate)
            {
                // The device may have set or cancelled the timer while this thread waited for its gate.
                if (Volatile.Read(ref timer.Version) != version)
                    continue;
                try
                {
                    timer.Expired();
                }
                catch (Exception e)
                {
                    Failed?.Invoke(timer.Gate, e);
                }
            }
        }
    }

    /// <summary>The first due entry from before the callbacks of a call. With the lock.</summary>
    private bool TryFindOlder(ulong now, ulong limit, out (ulong Deadline, ulong Sequence, Timer Timer) found)
    {
        foreach (var entry in _set)
        {
            if (entry.Deadline > now)
                break;
            if (entry.Sequence >= limit)
                continue;
            found = entry;
            return true;
        }

        found = default;
        return false;
    }

    private void Set(Timer timer, ulong deadline)
    {
        if (deadline == ulong.MaxValue)
        {
            Cancel(timer);
            return;
        }

        bool earliest;
        lock (_gate)
        {
            if (timer.Entry is { } old)
                _set.Remove(old);
            timer.Version++;
            var entry = (deadline, _sequence++, timer);
            timer.Entry = entry;
            _set.Add(entry);
            earliest = ReferenceEquals(_set.Min.Timer, timer);
        }

        if (earliest)
            EarliestChanged?.Invoke();
    }

    private void Cancel(Timer timer)
    {
        lock (_gate)
        {
            if (timer.Entry is { } old)
                _set.Remove(old);
            timer.Entry = null;
            timer.Version++;
        }
    }

    private sealed class Timer(TimerQueue queue, object gate, Action expired) : ClockTimer
    {
        /// <summary>Counts settings and cancellations.</summary>
        public ulong Version;

        public object Gate => gate;

        public Action Expired => expired;

        public (ulong Deadline, ulong Sequence, Timer Timer)? Entry { get; set; }

        public override void Set(ulong deadline) => queue.Set(this, deadline);

        public override void Cancel() => queue.Cancel(this);
    }

    private sealed class Order : IComparer<(ulong Deadline, ulong Sequence, Timer Timer)>
    {
        public static readonly Order Instance = new();

        public int Compare((ulong Deadline, ulong Sequence, Timer Timer) x, (ulong Deadline, ulong Sequence, Timer Timer) y)
        {
            int byDeadline = x.Deadline.CompareTo(y.Deadline);
            return byDeadline != 0 ? byDeadline : x.Sequence.CompareTo(y.Sequence);
        }
    }
}
