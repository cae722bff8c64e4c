namespace VirtKit.Devices.Pc;

/// <summary>An interrupt on its way to local APICs (SDM 3A §10.6, §10.11).</summary>
/// <param name="Destination">An APIC ID, or a set of logical destinations.</param>
/// <param name="Vector">The vector, 0 to 255.</param>
public readonly record struct ApicMessage(byte Destination, byte Vector)
{
    /// <summary>What the destination does with it.</summary>
    public ApicDelivery Delivery { get; init; }

    /// <summary>Whether <see cref="Destination"/> is logical rather than an APIC ID.</summary>
    public bool IsLogical { get; init; }

    /// <summary>Whether it is level-triggered: its end is told to the IOAPICs.</summary>
    public bool IsLevel { get; init; }
}

/// <summary>Delivery modes, with their encoding.</summary>
public enum ApicDelivery : byte
{
    /// <summary>The vector, to every destination.</summary>
    Fixed = 0,

    /// <summary>The vector, to the destination that runs at the lowest priority.</summary>
    LowestPriority = 1,

    /// <summary>System management interrupt; nobody takes it.</summary>
    Smi = 2,

    /// <summary>Non-maskable interrupt.</summary>
    Nmi = 4,

    /// <summary>INIT.</summary>
    Init = 5,

    /// <summary>Start-up; the vector is the page of real-mode code.</summary>
    StartUp = 6,

    /// <summary>An external controller, asked through <see cref="I8259.Acknowledge"/>.</summary>
    External = 7,
}
