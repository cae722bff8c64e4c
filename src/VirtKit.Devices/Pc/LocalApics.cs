using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>The local APICs of a machine and the bus between them. Thread-safe.</summary>
public sealed class LocalApics : IX64LocalApics, IDisposable
{
    private const int Self = 1, All = 2, Others = 3;

    private readonly LocalApic[] _apics;

    /// <summary>Creates an APIC for each processor, with IDs from 0.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="pins">What each drives, 1 to 255.</param>
    public LocalApics(MachineClock clock, IReadOnlyList<ApicPins> pins)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentNullException.ThrowIfNull(pins);
        ArgumentOutOfRangeException.ThrowIfZero(pins.Count, nameof(pins));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pins.Count, 255, nameof(pins));
        _apics = [.. pins.Select((p, i) => new LocalApic(this, i, clock, p))];
    }

    /// <summary>A processor has ended a level-triggered interrupt: <see cref="IoApic.EndOfInterrupt"/>.</summary>
    public event Action<byte>? EndOfInterrupt;

    /// <summary>What is asked for a vector when LINT0 takes external interrupts: <see cref="I8259.Acknowledge"/>.</summary>
    public Func<int>? AcknowledgeExternal { get; set; }

    /// <summary>The number of APICs.</summary>
    public int Count => _apics.Length;

    /// <summary>A processor's APIC.</summary>
    /// <param name="index">The processor.</param>
    public LocalApic this[int index] => _apics[index];

    IX64LocalApic IX64LocalApics.this[int vcpu] => _apics[vcpu];

    /// <summary>Brings an interrupt to the processors that it is for.</summary>
    public void Deliver(ApicMessage message)
    {
        if (message.Delivery != ApicDelivery.LowestPriority)
        {
            foreach (LocalApic apic in _apics)
            {
                if (apic.IsDestination(message))
                    apic.Accept(message);
            }
        }
        else if (_apics.Where(apic => apic.IsEnabled && apic.IsDestination(message)).MinBy(apic => apic.Priority) is { } idlest)
        {
            idlest.Accept(message);
        }
    }

    /// <inheritdoc/>
    public int Acknowledge(int vcpu)
    {
        int vector = _apics[vcpu].Acknowledge();
        return vector == -2 ? AcknowledgeExternal?.Invoke() ?? -1 : vector;
    }

    /// <inheritdoc/>
    public void SetTaskPriority(int vcpu, byte priority) => ((IX64LocalApic)_apics[vcpu]).TaskPriority = priority;

    /// <summary>Releases the APICs' timers.</summary>
    public void Dispose()
    {
        foreach (LocalApic apic in _apics)
            apic.Dispose();
    }

    internal void TellEndOfInterrupt(byte vector) => EndOfInterrupt?.Invoke(vector);

    internal void Send(LocalApic sender, ApicMessage message, int shorthand)
    {
        if (shorthand == 0)
        {
            Deliver(message);
            return;
        }

        foreach (LocalApic apic in _apics)
        {
            if (shorthand == All || (apic == sender ? shorthand == Self : shorthand == Others))
                apic.Accept(message);
        }
    }
}
