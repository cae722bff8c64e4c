using VirtKit.State;

namespace VirtKit.Time;

/// <summary>The set timers of one clock in order of deadline, ties in order of setting, so that virtual time repeats exactly.</summary>
internal sealed class TimerQueue
{
    private readonly Lock _gate = new();
    private readonly SortedSet<Timer> _set = new(Order.Instance);
    private ulong _sequence;

    /// <summary>The timers in the order in which they were made, which is the same for machines that are composed alike.</summary>
    private readonly List<WeakReference<Timer>> _made = [];

    /// <summary>Numbers of timers that were forgotten, found when <see cref="_made"/> had as many as <see cref="_search"/>.</summary>
    private readonly Stack<int> _free = new();
    private int _search = 64;

    /// <summary>Called outside the lock after a timer became the earliest.</summary>
    public event Action? EarliestChanged;

    /// <summary>The earliest deadline, or <see cref="ulong.MaxValue"/>.</summary>
    public ulong NextDeadline
    {
        get
        {
            lock (_gate)
                return _set.Min?.Deadline ?? ulong.MaxValue;
        }
    }

    /// <summary>How many numbers of timers are kept.</summary>
    public int Numbers
    {
        get
        {
            lock (_gate)
                return _made.Count;
        }
    }

    public ClockTimer Create(object gate, Action expired)
    {
        var timer = new Timer(this, gate, expired);
        lock (_gate)
        {
            if (_free.Count == 0 && _made.Count >= _search)
                FindForgotten();
            if (_free.TryPop(out int number))
            {
                timer.Number = number;
                _made[number].SetTarget(timer);
            }
            else
            {
                timer.Number = _made.Count;
                _made.Add(new WeakReference<Timer>(timer));
            }
        }

        return timer;
    }

    /// <summary>Who makes timers all the time and forgets them has no list without end. With the lock.</summary>
    private void FindForgotten()
    {
        for (int number = _made.Count - 1; number >= 0; number--)
        {
            if (!_made[number].TryGetTarget(out _))
                _free.Push(number);
        }

        if (_free.Count < _made.Count / 2)
            _search = 2 * _made.Count;
    }

    /// <summary>A callback threw, which is a device's bug and must not end the host's process.</summary>
    public event Action<object, Exception>? Failed;

    /// <summary>Which timers are set, and their order. Nobody sets one meanwhile.</summary>
    public void Visit(StateVisitor visitor)
    {
        ulong[] numbers, deadlines;
        int made;
        lock (_gate)
        {
            numbers = [.. _set.Select(timer => (ulong)timer.Number)];
            deadlines = [.. _set.Select(timer => timer.Deadline)];
            made = _made.Count;
        }

        int count = numbers.Length;
        visitor.Version(1);
        visitor.Field("count", ref count);
        visitor.Require((uint)count <= (uint)made, "count", $"is {count}, and the machine has {made} timers");
        if (visitor.IsReading)
            (numbers, deadlines) = (new ulong[count], new ulong[count]);
        visitor.Fields("numbers", numbers);
        visitor.Fields("deadlines", deadlines);
        if (!visitor.IsReading)
            return;
        var timers = new Timer?[count];
        for (int i = 0; i < count; i++)
        {
            visitor.Require(numbers[i] < (ulong)made && numbers.IndexOf(numbers[i]) == i, "numbers", $"has {numbers[i]} twice, or the machine has no such timer");
            _made[(int)numbers[i]].TryGetTarget(out timers[i]);
        }

        lock (_gate)
        {
            foreach (Timer timer in _set.ToArray())
                Remove(timer);
        }

        for (int i = 0; i < count; i++)
            timers[i]?.Set(deadlines[i]);
    }

    /// <summary>Runs what is due at <paramref name="now"/>, each callback under its device's gate and outside the queue's lock. What the callbacks set is for the next call,
    /// also where it is due: a device that sets its timer to "now" in its own callback gets it again, but holds nobody up for ever.</summary>
    public void Fire(ulong now)
    {
        ulong limit;
        lock (_gate)
            limit = _sequence;
        while (true)
        {
            Timer? timer;
            ulong version;
            lock (_gate)
            {
                timer = _set.Min;
                if (timer is null || timer.Deadline > now)
                    return;
                if (timer.Sequence >= limit && (timer = FindOlder(now, limit)) is null)
                    return;
                Remove(timer);
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

    /// <summary>The first due timer that was set before the callbacks of a call. With the lock.</summary>
    private Timer? FindOlder(ulong now, ulong limit)
    {
        foreach (Timer timer in _set)
        {
            if (timer.Deadline > now)
                break;
            if (timer.Sequence < limit)
                return timer;
        }

        return null;
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
            Remove(timer);
            timer.Version++;
            timer.Deadline = deadline;
            timer.Sequence = _sequence++;
            timer.IsSet = _set.Add(timer);
            earliest = ReferenceEquals(_set.Min, timer);
        }

        if (earliest)
            EarliestChanged?.Invoke();
    }

    private void Cancel(Timer timer)
    {
        lock (_gate)
        {
            Remove(timer);
            timer.Version++;
        }
    }

    /// <summary>With the lock, and before the timer gets another place in the order.</summary>
    private void Remove(Timer timer)
    {
        if (timer.IsSet)
            _set.Remove(timer);
        timer.IsSet = false;
    }

    private sealed class Timer(TimerQueue queue, object gate, Action expired) : ClockTimer
    {
        /// <summary>Counts settings and cancellations.</summary>
        public ulong Version;

        /// <summary>Which timer of its clock it is.</summary>
        public int Number { get; set; }

        public object Gate => gate;

        public Action Expired => expired;

        /// <summary>Whether it is in the queue, at the place that <see cref="Deadline"/> and <see cref="Sequence"/> give it there.</summary>
        public bool IsSet { get; set; }

        public ulong Deadline { get; set; }

        public ulong Sequence { get; set; }

        public override void Set(ulong deadline) => queue.Set(this, deadline);

        public override void Cancel() => queue.Cancel(this);
    }

    private sealed class Order : IComparer<Timer>
    {
        public static readonly Order Instance = new();

        public int Compare(Timer? x, Timer? y)
        {
            if (x is null || y is null)
                return (x is null ? 0 : 1) - (y is null ? 0 : 1);
            int byDeadline = x.Deadline.CompareTo(y.Deadline);
            return byDeadline != 0 ? byDeadline : x.Sequence.CompareTo(y.Sequence);
        }
    }
}
