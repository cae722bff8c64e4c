namespace VirtKit.Sandboxing;

/// <summary>The time of a sandbox: what its instructions take, so that a call repeats exactly. Nothing waits for it, and nothing comes from outside.</summary>
internal sealed class SandboxClock : MachineClock
{
    private const ulong NanosecondsPerInstruction = 10;

    /// <summary>How many instructions have retired; set once the CPU is there.</summary>
    public Func<ulong>? Retired { get; set; }

    /// <summary>What had retired when the guest's time began.</summary>
    public ulong Start { get; set; }

    public override ulong Now => Retired is { } retired ? (retired() - Start) * NanosecondsPerInstruction : 0;

    public override ulong CalendarNow => Now;

    public override ClockTimer CreateTimer(object gate, Action expired) => new Timer();

    public override void Post(object gate, Action action)
    {
        lock (gate)
            action();
    }

    /// <summary>A hart in user mode takes no interrupts, so that its timer never has to expire.</summary>
    private sealed class Timer : ClockTimer
    {
        public override void Set(ulong deadline) { }

        public override void Cancel() { }
    }
}
