using VirtKit.Devices.Pc;
using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>The interrupt chips of an <see cref="X64MicroVm"/> where its engine has none: our models on the machine's bus. A line is a global system interrupt, which
/// below 16 is also an input of the PIC.</summary>
internal sealed class X64InterruptModels : IX64InterruptChips, IInterruptSink, IDisposable
{
    private readonly LocalApics _apics;
    private readonly IoApic _ioApic;
    private readonly I8259 _pic;
    private readonly I8254 _pit;

    /// <summary>Attaches the chips.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="slot">What the machine's architecture names as its controller.</param>
    /// <param name="ioApicPage">Where the I/O APIC is.</param>
    public X64InterruptModels(Machine machine, Slot slot, Gpa ioApicPage)
    {
        _apics = new LocalApics(machine.Clock, [.. machine.Vcpus.Select(ApicPins.Of)]);
        _ioApic = new IoApic(_apics.Deliver);
        _pic = new I8259(_apics[0].Lint(0));
        _apics.EndOfInterrupt += _ioApic.EndOfInterrupt;
        _apics.AcknowledgeExternal = _pic.Acknowledge;
        slot.Controller = _apics;
        machine.Memory.Map(ioApicPage, _ioApic);
        AddressSpace ports = machine.Ports!;
        ports.Map(new Gpa(0x20), _pic.Primary);
        ports.Map(new Gpa(0xa0), _pic.Secondary);
        ports.Map(new Gpa(0x4d0), _pic.EdgeLevel);
        _pit = new I8254(machine.Clock, Input(0));
        ports.Map(new Gpa(0x40), _pit);
        ports.Map(new Gpa(0x61), _pit.Speaker);
    }

    /// <inheritdoc/>
    public bool ArePresent => true;

    /// <inheritdoc/>
    public InterruptLine Input(int input)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 23);
        return new InterruptLine(this, input);
    }

    /// <inheritdoc/>
    public void SetInput(int input, bool level)
    {
        if (input < 16)
            _pic.Input(input).Set(level);
        _ioApic.Input(input).Set(level);
    }

    /// <inheritdoc/>
    public void GetState(out X64InterruptChipsState state)
    {
        _pic.GetState(out state.PrimaryPic, out state.SecondaryPic);
        _ioApic.GetState(out state.IoApic);
        _pit.GetState(out state.Pit);
    }

    /// <inheritdoc/>
    public void SetState(in X64InterruptChipsState state)
    {
        // The timer drives its line when it takes its state: what the controllers know of the line then comes from theirs.
        _pit.SetState(in state.Pit);
        _ioApic.SetState(in state.IoApic);
        _pic.SetState(in state.PrimaryPic, in state.SecondaryPic);
    }

    /// <summary>Releases the timers.</summary>
    public void Dispose()
    {
        _pit.Dispose();
        _apics.Dispose();
    }

    /// <summary>The machine needs its controller before that can be built, because a controller needs the machine's vCPUs: this stands between.</summary>
    internal sealed class Slot : IX64LocalApics
    {
        public LocalApics? Controller { get; set; }

        public IX64LocalApic this[int vcpu] => Controller![vcpu];

        public int Acknowledge(int vcpu) => Controller!.Acknowledge(vcpu);

        public void SetTaskPriority(int vcpu, byte priority) => Controller!.SetTaskPriority(vcpu, priority);
    }
}
