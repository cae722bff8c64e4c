using System.Numerics;

namespace VirtKit.Devices.Boards;

/// <summary>A board's devices in one address space, the board's own and the caller's: makes, places and releases them.</summary>
/// <param name="machine">The board's machine.</param>
/// <param name="space">Where the devices stand.</param>
/// <param name="inputs">The inputs of the board's interrupt controller.</param>
internal sealed class BoardBus(Machine machine, AddressSpace space, InterruptInputs inputs) : IDisposable
{
    private readonly List<AttachedDevice> _devices = [];
    private readonly List<IDisposable> _owned = [];

    /// <summary>Addresses from here on are no device's.</summary>
    public ulong End { get; init; } = ulong.MaxValue;

    /// <summary>The largest window.</summary>
    public ulong LongestWindow { get; init; } = ulong.MaxValue;

    /// <summary>Where devices stand that name no address: a range, and what their addresses are a multiple of.</summary>
    public required (Gpa Start, ulong Size, ulong Alignment) Free { get; init; }

    /// <summary>What the engine answers itself, unmapped.</summary>
    public IReadOnlyList<(Gpa Start, ulong Size, string Name)> Reserved { get; init; } = [];

    /// <summary>The devices in the order of their attachment.</summary>
    public IReadOnlyList<AttachedDevice> Devices => _devices;

    /// <summary>Attaches the caller's devices.</summary>
    /// <param name="devices">The devices.</param>
    /// <param name="member">The options' member that they stand in, for errors.</param>
    public void Attach(IReadOnlyList<BoardDevice> devices, string member)
    {
        for (int i = 0; i < devices.Count; i++)
            Attach($"{member}[{i}]", devices[i]);
    }

    /// <summary>Makes a device and puts it into its place.</summary>
    /// <param name="label">How errors call it.</param>
    /// <param name="description">How it is made, and where it stands.</param>
    /// <exception cref="ArgumentException">The place is taken or there is none, which the message says.</exception>
    public void Attach(string label, BoardDevice description)
    {
        var slot = new BoardSlot(machine, inputs, label);
        IDevice device = description.Create(slot) ?? throw BoardOptions.Refusal($"{label}: its factory gave null.");
        slot.Close();
        if (device is IDisposable disposable)
            _owned.Add(disposable);
        DeviceWindow window = device.Window;
        Gpa address = description.Address ?? NextFree(label, window);
        Check(label, window, address);
        try
        {
            space.Map(address, device);
        }
        catch (ArgumentException e)
        {
            throw BoardOptions.Refusal($"{label}: {e.Message}", e);
        }

        _devices.Add(new AttachedDevice(device, address, slot.Taken));
    }

    /// <summary>Releases the devices, the last first.</summary>
    public void Dispose()
    {
        foreach (IDisposable device in Enumerable.Reverse(_owned))
            device.Dispose();
    }

    private void Check(string label, DeviceWindow window, Gpa address)
    {
        if (window.Size > LongestWindow)
            throw BoardOptions.Refusal($"{label}: {window.Name} has {window.Size} addresses, and {LongestWindow} are possible.");
        if (address.Value >= End || window.Size > End - address.Value)
            throw BoardOptions.Refusal($"{label}: {window.Name} at {address}, {window.Size} bytes, reaches past 0x{End:x}.");
        foreach ((Gpa start, ulong size, string name) in Reserved)
        {
            if (window.Size != 0 && Overlap(address, window.Size, start, size))
                throw BoardOptions.Refusal($"{label}: {window.Name} at {address}, {window.Size} bytes, overlaps {name} at {start}.");
        }
    }

    /// <summary>The first free address, naturally aligned.</summary>
    private Gpa NextFree(string label, DeviceWindow window)
    {
        ulong size = Math.Max(window.Size, 1), alignment = Math.Max(Free.Alignment, BitOperations.RoundUpToPowerOf2(size));
        ulong end = Free.Start.Value + Free.Size, address = Free.Start.Value;
        // A size of more than half the address space has no power of two above it.
        while (alignment != 0 && (address = (address + alignment - 1) / alignment * alignment) < end && size <= end - address)
        {
            var start = new Gpa(address);
            if (space.Regions.FirstOrDefault(region => Overlap(start, size, region.Start, region.Size)) is not { } other)
                return start;
            address = other.Start.Value + other.Size;
        }

        throw BoardOptions.Refusal($"{label}: no {size} free bytes for {window.Name} between {Free.Start} and 0x{end:x}; give it an address.");
    }

    private static bool Overlap(Gpa first, ulong firstSize, Gpa second, ulong secondSize) =>
        first.Value <= second.Value + (secondSize - 1) && second.Value <= first.Value + (firstSize - 1);
}
