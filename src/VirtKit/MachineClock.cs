using VirtKit.State;

namespace VirtKit;

/// <summary>The time of one machine, in nanoseconds: what the guest has seen go by. Devices read it and set timers on it; whether it is virtual (counted in retired
/// instructions, so that a run repeats exactly) or the host's is the machine's option (<see cref="MachineOptions.Scheduling"/>). Virtual time stands while the machine does
/// not run, and so does the host's unless <see cref="MachineOptions.StoppedTime"/> says otherwise.</summary>
/// <remarks>Thread-safe.</remarks>
public abstract class MachineClock
{
    /// <summary>So many inputs keep their numbers for good: machines that are composed alike number them alike. Behind these a number is given again when its input's device has gone, so that
    /// a machine whose devices come and go keeps a bounded list.</summary>
    internal const int KeptNumbers = 1024;

    private readonly List<WeakReference<MachineInput>> _inputs = [];
    private InputJournal? _journal;

    /// <summary>The current time in nanoseconds. Never goes back.</summary>
    public abstract ulong Now { get; }

    /// <summary>The calendar time in nanoseconds since 1970-01-01 UTC, for real-time clocks: the machine's configured start plus <see cref="Now"/>.</summary>
    public abstract ulong CalendarNow { get; }

    /// <summary>The time so many nanoseconds from now, or <see cref="ulong.MaxValue"/> (never, for a timer) where that is past the clock's end after 584 years. Devices compute
    /// deadlines with it: a guest chooses the distance, and a sum that wraps would be a deadline in the past, which expires at once and for ever.</summary>
    /// <param name="nanoseconds">The distance, any value.</param>
    public ulong After(ulong nanoseconds) => Add(Now, nanoseconds);

    /// <summary>Creates a timer that is not set.</summary>
    /// <param name="gate">Held around every call of <paramref name="expired"/>: the device whose state the callback touches.</param>
    /// <param name="expired">Called once for each expiry; on the clock's thread with host time, on the scheduler's with virtual time. Must not block or throw.</param>
    public abstract ClockTimer CreateTimer(object gate, Action expired);

    /// <summary>The one door for what comes from the host's threads (console input, a network frame, a call of the host): runs an action while no device is in the middle of
    /// something. Any thread; returns at once.</summary>
    /// <remarks>
    /// Actions run once each, in the order of posting. With <see cref="VcpuScheduling.Deterministic"/> they run between two instructions, on the thread that runs the machine: a
    /// run is repeated exactly where the same actions are posted behind the same numbers of instructions, for example while <see cref="Machine.Run(ulong, CancellationToken)"/>
    /// has stopped there. With <see cref="VcpuScheduling.Threads"/> they run on the clock's thread. A machine whose vCPUs all wait is woken. While the machine does not run,
    /// actions wait for the next run; those that are posted to a disposed machine, or wait when it is disposed of, are dropped. The queue has no bound: a source that can be
    /// faster than the guest posts its next action when the last one has run. A recording (<see cref="Machine.StartRecording"/>) cannot repeat what is posted here: a device
    /// has an input for that (<see cref="CreateInput"/>).
    /// </remarks>
    /// <param name="gate">Held around the action: the device whose state it touches.</param>
    /// <param name="action">Must not block or throw; an exception stops the machine with <see cref="ExitReason.InternalError"/>.</param>
    public abstract void Post(object gate, Action action);

    /// <summary>Creates an input: what comes through it is part of a recording, unlike what is passed to <see cref="Post(object, Action)"/>.</summary>
    /// <param name="gate">Held around every call of <paramref name="arrived"/>: the device whose state the handler touches.</param>
    /// <param name="arrived">Called between two slices of the machine after <see cref="MachineInput.Announce"/>. Must not block or throw.</param>
    public MachineInput CreateInput(object gate, Action arrived)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(arrived);
        lock (_inputs)
        {
            // A log knows its inputs by their numbers.
            int free = Journal is null && _inputs.Count > KeptNumbers ? _inputs.FindIndex(KeptNumbers, known => !known.TryGetTarget(out _)) : -1;
            var input = new MachineInput(this, free < 0 ? _inputs.Count : free, gate, arrived);
            if (free < 0)
                _inputs.Add(new WeakReference<MachineInput>(input));
            else
                _inputs[free].SetTarget(input);
            return input;
        }
    }

    /// <summary>What writes down, or repeats, what comes from outside; <see langword="null"/> while nothing does.</summary>
    internal InputJournal? Journal
    {
        get => Volatile.Read(ref _journal);
        set => Volatile.Write(ref _journal, value);
    }

    /// <summary>How many inputs were made.</summary>
    internal int InputCount
    {
        get
        {
            lock (_inputs)
                return _inputs.Count;
        }
    }

    /// <summary>An input by its number; <see langword="null"/> where there is none, or its device is no more.</summary>
    internal MachineInput? InputOf(int number)
    {
        lock (_inputs)
            return number < _inputs.Count && _inputs[number].TryGetTarget(out MachineInput? input) ? input : null;
    }

    /// <summary>Posts what an input announces.</summary>
    internal virtual void Post(MachineInput input) => Post(input.Gate, input.Arrive);

    /// <summary>A calendar time as its clocks count.</summary>
    private protected static ulong Nanoseconds(DateTimeOffset calendar) => (ulong)(calendar - DateTimeOffset.UnixEpoch).Ticks * 100;

    /// <summary>A sum that stays at the clock's end instead of wrapping into the past.</summary>
    private protected static ulong Add(ulong a, ulong b) => a > ulong.MaxValue - b ? ulong.MaxValue : a + b;
}

/// <summary>A one-shot timer of a <see cref="MachineClock"/>. Thread-safe.</summary>
public abstract class ClockTimer : IDisposable
{
    /// <summary>Sets the deadline and replaces an earlier one. A deadline that has passed expires at once, but never inside this call.</summary>
    /// <remarks>What a callback sets to a time that has come already expires once the guest has got on, or the next time that the clock looks: never in the same turn.</remarks>
    /// <param name="deadline">Nanoseconds on the clock; <see cref="ulong.MaxValue"/> never comes.</param>
    public abstract void Set(ulong deadline);

    /// <summary>Takes the deadline back. An expiry that has begun still runs to its end.</summary>
    public abstract void Cancel();

    /// <summary>Cancels the timer for good.</summary>
    public void Dispose()
    {
        Cancel();
        GC.SuppressFinalize(this);
    }
}
