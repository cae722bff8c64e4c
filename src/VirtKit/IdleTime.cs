namespace VirtKit;

/// <summary>What becomes of the time in which all vCPUs wait for a timer, where time is virtual.</summary>
public enum IdleTime
{
    /// <summary>It is skipped: the clock jumps to the timer at once. A guest that sleeps an hour is back in no time, and an idle guest with a periodic timer keeps a
    /// processor of the host busy.</summary>
    Skipped,

    /// <summary>It passes as on the host: the machine sleeps until as much of the host's time has gone by since the start of the run as of its own. For guests that
    /// people use. Busy time is not slowed down, and the run stays deterministic.</summary>
    RealTime,
}
