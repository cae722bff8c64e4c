namespace VirtKit;

/// <summary>What becomes of the host's time in which a machine does not run, where the guest sees the host's time.</summary>
public enum StoppedTime
{
    /// <summary>The guest does not see it: clock, timers and calendar go on where they stood, as after QEMU's <c>stop</c> and <c>cont</c>.</summary>
    Held,

    /// <summary>The guest sees it when it goes on: the clock has run on since the machine was constructed, and what has become due fires at once.</summary>
    RunsOn,
}
