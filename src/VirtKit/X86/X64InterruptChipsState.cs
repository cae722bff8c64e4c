using System.Runtime.CompilerServices;
using VirtKit.State;

namespace VirtKit.X86;

/// <summary>The state of a PC's interrupt chips beside the local APICs, as engines and device models exchange it: a machine can go on with either.</summary>
public struct X64InterruptChipsState : ISnapshotable
{
    /// <summary>The first PIC.</summary>
    public X64PicState PrimaryPic;

    /// <summary>The second PIC.</summary>
    public X64PicState SecondaryPic;

    /// <summary>The IOAPIC.</summary>
    public X64IoApicState IoApic;

    /// <summary>The PIT.</summary>
    public X64PitState Pit;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Version(1);
        visitor.Part("primary pic", ref PrimaryPic);
        visitor.Part("secondary pic", ref SecondaryPic);
        visitor.Part("ioapic", ref IoApic);
        visitor.Part("pit", ref Pit);
    }
}

/// <summary>The state of an 8259A. Sets of inputs have a bit for each.</summary>
public struct X64PicState : ISnapshotable
{
    /// <summary>The inputs that are asserted.</summary>
    public byte Lines;

    /// <summary>The interrupt request register.</summary>
    public byte Irr;

    /// <summary>The in-service register.</summary>
    public byte Isr;

    /// <summary>The interrupt mask register.</summary>
    public byte Imr;

    /// <summary>The edge/level control register: 1 for level.</summary>
    public byte Elcr;

    /// <summary>The vector of input 0.</summary>
    public byte VectorBase;

    /// <summary>The input of the highest priority, 0 to 7.</summary>
    public byte Highest;

    /// <summary>Which ICW is to come, 2 to 4; 0 when initialised.</summary>
    public byte NextIcw;

    /// <summary>Whether ICW4 is to come.</summary>
    public bool TakesIcw4;

    /// <summary>Whether ICW3 is not to come.</summary>
    public bool Single;

    /// <summary>Automatic EOI mode.</summary>
    public bool AutomaticEoi;

    /// <summary>Whether priorities rotate at an automatic EOI.</summary>
    public bool RotateOnEoi;

    /// <summary>Special mask mode.</summary>
    public bool SpecialMask;

    /// <summary>Special fully nested mode.</summary>
    public bool SpecialFullyNested;

    /// <summary>Whether a read of port 0 gives ISR rather than IRR.</summary>
    public bool ReadsIsr;

    /// <summary>Whether the next read polls.</summary>
    public bool Poll;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("lines", ref Lines);
        visitor.Field("irr", ref Irr);
        visitor.Field("isr", ref Isr);
        visitor.Field("imr", ref Imr);
        visitor.Field("elcr", ref Elcr);
        visitor.Field("vector base", ref VectorBase);
        visitor.Field("highest", ref Highest);
        visitor.Field("next icw", ref NextIcw);
        visitor.Field("takes icw4", ref TakesIcw4);
        visitor.Field("single", ref Single);
        visitor.Field("automatic eoi", ref AutomaticEoi);
        visitor.Field("rotate on eoi", ref RotateOnEoi);
        visitor.Field("special mask", ref SpecialMask);
        visitor.Field("special fully nested", ref SpecialFullyNested);
        visitor.Field("reads isr", ref ReadsIsr);
        visitor.Field("poll", ref Poll);
        visitor.Require(Highest <= 7, "highest", $"is {Highest}");
        visitor.Require(NextIcw is 0 or >= 2 and <= 4, "next icw", $"is {NextIcw}");
    }
}

/// <summary>The state of an 82093AA. Sets of inputs have a bit for each.</summary>
public struct X64IoApicState : ISnapshotable
{
    /// <summary>IOREGSEL.</summary>
    public byte Index;

    /// <summary>The APIC ID, 0 to 15.</summary>
    public byte Id;

    /// <summary>The inputs that are asserted, as far as it is known.</summary>
    public uint Lines;

    /// <summary>The requests: level inputs that are asserted, and edges that have not been delivered.</summary>
    public uint Irr;

    /// <summary>The redirection entries.</summary>
    public Redirections Entries;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("index", ref Index);
        visitor.Field("id", ref Id);
        visitor.Field("lines", ref Lines);
        visitor.Field("irr", ref Irr);
        visitor.Fields("entries", (Span<ulong>)Entries);
        visitor.Require(Id <= 15, "id", $"is {Id}");
    }

    /// <summary>24 entries.</summary>
    [InlineArray(24)]
    public struct Redirections
    {
        private ulong _first;
    }
}

/// <summary>The state of an 8254 and of the port that gates its counter 2.</summary>
public struct X64PitState : ISnapshotable
{
    /// <summary>The counters.</summary>
    public PitCounters Counters;

    /// <summary>Whether the speaker is on.</summary>
    public bool SpeakerOn;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Parts("counter", (Span<X64PitCounter>)Counters);
        visitor.Field("speaker on", ref SpeakerOn);
    }

    /// <summary>Three counters.</summary>
    [InlineArray(3)]
    public struct PitCounters
    {
        private X64PitCounter _first;
    }
}

/// <summary>The state of one counter of an 8254.</summary>
public struct X64PitCounter : ISnapshotable
{
    /// <summary>The mode, 0 to 5.</summary>
    public byte Mode;

    /// <summary>Which bytes are read and written: 1 low, 2 high, 3 both in turn.</summary>
    public byte Access;

    /// <summary>The latched status, where <see cref="StatusLatched"/> is set.</summary>
    public byte Status;

    /// <summary>How many bytes of <see cref="Latch"/> are still to be read, 0 to 2.</summary>
    public byte LatchBytes;

    /// <summary>The latched count.</summary>
    public ushort Latch;

    /// <summary>The low byte of a count whose high byte is to come.</summary>
    public byte WrittenLow;

    /// <summary>Whether it counts in BCD.</summary>
    public bool Bcd;

    /// <summary>Its gate.</summary>
    public bool Gate;

    /// <summary>Whether it has been given a count.</summary>
    public bool Loaded;

    /// <summary>Whether its gate has triggered it, in modes 1 and 5.</summary>
    public bool Triggered;

    /// <summary>Whether a status is latched.</summary>
    public bool StatusLatched;

    /// <summary>Whether the next byte read is the high one.</summary>
    public bool ReadsHigh;

    /// <summary>Whether the next byte written is the high one.</summary>
    public bool WritesHigh;

    /// <summary>The count that it was given, 1 to 65,536.</summary>
    public uint Count;

    /// <summary>How far it has come since, in ticks of 1,193,182 Hz. KVM starts the period again when it takes a state.</summary>
    public ulong Elapsed;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("mode", ref Mode);
        visitor.Field("access", ref Access);
        visitor.Field("status", ref Status);
        visitor.Field("latch bytes", ref LatchBytes);
        visitor.Field("latch", ref Latch);
        visitor.Field("written low", ref WrittenLow);
        visitor.Field("bcd", ref Bcd);
        visitor.Field("gate", ref Gate);
        visitor.Field("loaded", ref Loaded);
        visitor.Field("triggered", ref Triggered);
        visitor.Field("status latched", ref StatusLatched);
        visitor.Field("reads high", ref ReadsHigh);
        visitor.Field("writes high", ref WritesHigh);
        visitor.Field("count", ref Count);
        visitor.Field("elapsed", ref Elapsed);
        visitor.Require(Mode <= 5, "mode", $"is {Mode}");
        visitor.Require(Access is >= 1 and <= 3, "access", $"is {Access}");
        visitor.Require(LatchBytes <= 2, "latch bytes", $"is {LatchBytes}");
        visitor.Require(Count <= 65_536, "count", $"is {Count}");
    }
}
