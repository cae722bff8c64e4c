using VirtKit.Devices.Virtio;

namespace VirtKit.Devices.Boards;

/// <summary>What stands in a board's virtio slots: disks, networks, console, the entropy source that is always there, the caller's own devices; then nothing.</summary>
internal sealed class BoardVirtio : IDisposable
{
    /// <summary>The number of slots.</summary>
    public const int Slots = 8;

    /// <summary>The length of a slot in bytes.</summary>
    public const ulong Stride = 0x1000;

    /// <summary>Devices bind to their backends when they are made: not before there is a machine that disposes of them.</summary>
    private readonly List<(string Member, Func<VirtioDevice> Create)> _own;
    private readonly IReadOnlyList<VirtioDevice> _callers;
    private readonly List<IDisposable> _owned = [];

    public BoardVirtio(BoardOptions options, GuestRandom random)
    {
        _own = [.. options.Disks.Select((disk, i) => Own($"{nameof(options.Disks)}[{i}]", () => new VirtioBlock(disk, $"virtkit-disk{i}")))];
        _own.AddRange(options.Networks.Select((network, i) =>
            Own($"{nameof(options.Networks)}[{i}]", () => new VirtioNet(network, new MacAddress(options.FirstMacAddress.Value + (ulong)i)))));
        if (options.VirtioConsole is { } console)
            _own.Add(Own(nameof(options.VirtioConsole), () => new VirtioConsole(console)));
        _own.Add(Own("entropy", () => new VirtioEntropy(random.Fill)));

        static (string, Func<VirtioDevice>) Own(string member, Func<VirtioDevice> create) => (member, create);
        _callers = options.VirtioDevices;
    }

    /// <summary>Puts the slots on a board, each with the device in it.</summary>
    /// <param name="bus">The board's memory-mapped devices.</param>
    /// <param name="start">The address of the first slot; the others follow in steps of <see cref="Stride"/>.</param>
    /// <param name="firstInput">The interrupt of the first slot; the others count on from it.</param>
    public void Attach(BoardBus bus, Gpa start, int firstInput)
    {
        for (int i = 0; i < Slots; i++)
        {
            VirtioDevice device = Create(i);
            int input = firstInput + i;
            bus.Attach($"virtio slot {i}", new BoardDevice(slot => new VirtioMmio(device, slot.Machine.Memory, slot.Machine.Clock, slot.TakeInterrupt(input)))
            {
                Address = start + (ulong)i * Stride,
            });
        }
    }

    /// <summary>Releases the devices that the board made; the caller's stay the caller's. Their transports have been released before.</summary>
    public void Dispose()
    {
        foreach (IDisposable device in _owned)
            device.Dispose();
    }

    private VirtioDevice Create(int slot)
    {
        if (slot >= _own.Count)
            return slot - _own.Count < _callers.Count ? _callers[slot - _own.Count] : new EmptySlot();
        VirtioDevice device;
        try
        {
            device = _own[slot].Create();
        }
        catch (ArgumentException e)
        {
            throw BoardOptions.Refusal($"{_own[slot].Member}: {e.Message}", e);
        }

        if (device is IDisposable disposable)
            _owned.Add(disposable);
        return device;
    }
}
