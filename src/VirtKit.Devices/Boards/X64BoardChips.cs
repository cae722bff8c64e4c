using VirtKit.Devices.Pc;
using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>The interrupt chips of an <see cref="X64MicroVm"/>: the engine's where its partition has them, otherwise our models on the machine's bus. The board's lines end here, so that the
/// chips can change under it, with the engine. A line is a global system interrupt, which below 16 is also an input of the PIC.</summary>
internal sealed class X64BoardChips : IX64InterruptChips, IInterruptSink, IDisposable
{
    private readonly Machine _machine;
    private readonly LocalApics _apics;
    private readonly IoApic _ioApic;
    private readonly I8259 _pic;
    private readonly I8254 _pit;
    private readonly (AddressSpace Space, Gpa Address, IDevice Device)[] _windows;
    private readonly List<(AddressSpace Space, MemoryRegion Region)> _mapped = [];

    /// <summary>Attaches the chips.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="ioApicPage">Where the I/O APIC is.</param>
    public X64BoardChips(Machine machine, Gpa ioApicPage)
    {
        _machine = machine;
        _apics = new LocalApics(machine.Clock, [.. machine.Vcpus.Select(ApicPins.Of)]);
        _ioApic = new IoApic(_apics.Deliver);
        _pic = new I8259(_apics[0].Lint(0));
        _apics.EndOfInterrupt += _ioApic.EndOfInterrupt;
        _apics.AcknowledgeExternal = _pic.Acknowledge;
        _pit = new I8254(machine.Clock, new InterruptLine(new ModelInputs(this), 0));
        AddressSpace ports = machine.Ports!;
        _windows =
        [
            (machine.Memory, ioApicPage, _ioApic),
            (ports, new Gpa(0x20), _pic.Primary),
            (ports, new Gpa(0xa0), _pic.Secondary),
            (ports, new Gpa(0x4d0), _pic.EdgeLevel),
            (ports, new Gpa(0x40), _pit),
            (ports, new Gpa(0x61), _pit.Speaker),
        ];
        X64Platform platform = X64Platform.Of(machine);
        platform.InterruptController = _apics;
        platform.InterruptChips = this;
        ShowModels();
    }

    /// <inheritdoc/>
    public bool ArePresent => true;

    /// <summary>The engine's chips, where the guest has those.</summary>
    private IX64InterruptChips? Engines => _machine.Partition is IX64InterruptChips { ArePresent: true } chips ? chips : null;

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
        if (Engines is { } chips)
            chips.Input(input).Set(level);
        else
            SetModels(input, level);
    }

    /// <inheritdoc/>
    public void GetState(out X64InterruptChipsState state)
    {
        if (Engines is { } chips)
        {
            chips.GetState(out state);
            return;
        }

        _pic.GetState(out state.PrimaryPic, out state.SecondaryPic);
        _ioApic.GetState(out state.IoApic);
        _pit.GetState(out state.Pit);
    }

    /// <summary>Copies the state in, of whichever chips. Our models are on the bus from here on, or leave it.</summary>
    public void SetState(in X64InterruptChipsState state)
    {
        ShowModels();
        if (Engines is { } chips)
        {
            chips.SetState(in state);
            return;
        }

        // The timer drives its line when it takes its state: what the controllers know of the line then comes from theirs.
        _pit.SetState(in state.Pit);
        _ioApic.SetState(in state.IoApic);
        _pic.SetState(in state.PrimaryPic, in state.SecondaryPic);
    }

    /// <inheritdoc/>
    public bool Holds(IDevice device) => _windows.Any(window => ReferenceEquals(window.Device, device));

    /// <summary>Releases the timers.</summary>
    public void Dispose()
    {
        _pit.Dispose();
        _apics.Dispose();
    }

    private void SetModels(int input, bool level)
    {
        if (input < 16)
            _pic.Input(input).Set(level);
        _ioApic.Input(input).Set(level);
    }

    /// <summary>Our models are on the bus while the guest has no others, and quiet while it has.</summary>
    private void ShowModels()
    {
        bool areShown = _mapped.Count != 0;
        if (areShown == (Engines is null))
            return;
        if (!areShown)
        {
            foreach ((AddressSpace space, Gpa address, IDevice device) in _windows)
                _mapped.Add((space, space.Map(address, device)));
            return;
        }

        foreach ((AddressSpace space, MemoryRegion region) in _mapped)
            space.Unmap(region);
        _mapped.Clear();
        foreach (var window in _windows)
            window.Device.Reset();
        for (int i = 0; i < _apics.Count; i++)
            _apics[i].Reset();
    }

    /// <summary>The PIT's line goes to its own kind: one that is quiet disturbs no other.</summary>
    private sealed class ModelInputs(X64BoardChips chips) : IInterruptSink
    {
        public void SetInput(int input, bool level) => chips.SetModels(input, level);
    }
}
