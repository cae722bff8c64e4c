using VirtKit.Devices.Pc;
using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>The interrupt controllers of an <see cref="X64MicroVm"/>: the engine's, or our models on the machine's bus. A line is a global system interrupt, which
/// below 16 is also an input of the PIC.</summary>
internal abstract class X64Interrupts : IDisposable
{
    /// <summary>Where the local APICs' page is.</summary>
    public static readonly Gpa LocalApicPage = new(0xfee0_0000);

    /// <summary>Where the I/O APIC is.</summary>
    public static readonly Gpa IoApicPage = new(0xfec0_0000);

    /// <summary>A line into an input.</summary>
    /// <param name="input">0 to 23.</param>
    public abstract InterruptLine Input(int input);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Takes the engine's controllers where it brings them, otherwise attaches ours.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="slot">What the machine's architecture names as its controller.</param>
    public static X64Interrupts Attach(Machine machine, Slot slot) =>
        machine.Partition is IX64InterruptChips { ArePresent: true } chips ? new OfEngine(chips) : new Models(machine, slot);

    /// <summary>The machine needs its controller before that can be built, because a controller needs the machine's vCPUs: this stands between.</summary>
    internal sealed class Slot : IX64LocalApics
    {
        public LocalApics? Controller { get; set; }

        public IX64LocalApic this[int vcpu] => Controller![vcpu];

        public int Acknowledge(int vcpu) => Controller!.Acknowledge(vcpu);

        public void SetTaskPriority(int vcpu, byte priority) => Controller!.SetTaskPriority(vcpu, priority);
    }

    private sealed class OfEngine(IX64InterruptChips chips) : X64Interrupts
    {
        public override InterruptLine Input(int input) => chips.Input(input);

        public override void Dispose() { }
    }

    private sealed class Models : X64Interrupts, IInterruptSink
    {
        private readonly LocalApics _apics;
        private readonly IoApic _ioApic;
        private readonly I8259 _pic;
        private readonly I8254 _pit;

        public Models(Machine machine, Slot slot)
        {
            _apics = new LocalApics(machine.Clock, [.. machine.Vcpus.Select(ApicPins.Of)]);
            _ioApic = new IoApic(_apics.Deliver);
            _pic = new I8259(_apics[0].Lint(0));
            _apics.EndOfInterrupt += _ioApic.EndOfInterrupt;
            _apics.AcknowledgeExternal = _pic.Acknowledge;
            slot.Controller = _apics;
            machine.Memory.Map(IoApicPage, _ioApic);
            AddressSpace ports = machine.Ports!;
            ports.Map(new Gpa(0x20), _pic.Primary);
            ports.Map(new Gpa(0xa0), _pic.Secondary);
            ports.Map(new Gpa(0x4d0), _pic.EdgeLevel);
            _pit = new I8254(machine.Clock, Input(0));
            ports.Map(new Gpa(0x40), _pit);
            ports.Map(new Gpa(0x61), _pit.Speaker);
        }

        public override InterruptLine Input(int input) => new(this, input);

        public void SetInput(int input, bool level)
        {
            if (input < 16)
                _pic.Input(input).Set(level);
            _ioApic.Input(input).Set(level);
        }

        public override void Dispose()
        {
            _pit.Dispose();
            _apics.Dispose();
        }
    }
}
