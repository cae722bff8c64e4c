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
    private readonly List<Own> _own = [];
    private readonly IReadOnlyList<VirtioDevice> _callers;
    private readonly List<IDisposable> _owned = [];

    public BoardVirtio(BoardOptions options, GuestRandom random)
    {
        for (int i = 0; i < options.Disks.Count; i++)
        {
            int number = i;
            _own.Add(new Own($"{nameof(options.Disks)}[{i}]", () => new VirtioBlock(options.Disks[number], $"virtkit-disk{number}")));
        }

        for (int i = 0; i < options.Networks.Count; i++)
        {
            int number = i;
            _own.Add(new Own($"{nameof(options.Networks)}[{i}]", () => new VirtioNet(options.Networks[number], new MacAddress(options.FirstMacAddress.Value + (ulong)number))));
        }

        if (options.VirtioConsole is { } console)
            _own.Add(new Own(nameof(options.VirtioConsole), () => new VirtioConsole(console)));
        _own.Add(new Own("entropy", () => new VirtioEntropy(random)));
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

    /// <summary>A device that the board makes, and the option that asks for it.</summary>
    private sealed class Own(string member, Func<VirtioDevice> create)
    {
        public string Member => member;

        public Func<VirtioDevice> Create => create;
    }
}
