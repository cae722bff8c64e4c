namespace VirtKit.Devices.Boards;

/// <summary>What a guest sees of having been restored or forked (<see cref="BoardOptions.GenerationId"/>).</summary>
public enum GenerationIdMode
{
    /// <summary>Nothing: the board has no generation ID, and a restored guest goes on as the one that was captured would have.</summary>
    Absent,

    /// <summary>The board has a generation ID, and a restored guest the one that was captured, with the random numbers that would have come: it goes on as that one would have.</summary>
    Kept,

    /// <summary>The board has a generation ID. Each restore gives the guest a new one, and tells it so if it has read the last, and starts the board's random numbers anew from the
    /// host's generator, also with a <see cref="BoardOptions.Seed"/>.</summary>
    Fresh,
}
