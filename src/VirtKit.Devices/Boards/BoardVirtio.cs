using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;

namespace VirtKit.Devices.Boards;

/// <summary>What stands in a board's virtio slots: disks, networks, console, the entropy source that is always there, the caller's own devices; then nothing.</summary>
internal sealed class BoardVirtio : IDisposable
{
    /// <summary>The number of slots.</summary>
    public const int Slots = 8;

    /// <summary>Devices bind to their backends when they are made: not before there is a machine that disposes of them.</summary>
    private readonly List<Func<VirtioDevice>> _own;
    private readonly IReadOnlyList<VirtioDevice> _callers;
    private readonly List<IDisposable> _owned = [];

    /// <exception cref="ArgumentException">There are more devices than slots.</exception>
    public BoardVirtio(
        IReadOnlyList<IBlockBackend> disks, IReadOnlyList<INetworkBackend> networks, MacAddress firstMacAddress, IConsoleBackend? console, GuestRandom random, IReadOnlyList<VirtioDevice> callers)
    {
        _own = [.. disks.Select((disk, i) => (Func<VirtioDevice>)(() => new VirtioBlock(disk, $"virtkit-disk{i}")))];
        _own.AddRange(networks.Select((network, i) => (Func<VirtioDevice>)(() => new VirtioNet(network, new MacAddress(firstMacAddress.Value + (ulong)i)))));
        if (console is not null)
            _own.Add(() => new VirtioConsole(console));
        _own.Add(() => new VirtioEntropy(random.Fill));
        _callers = callers;
        if (_own.Count + callers.Count > Slots)
            throw new ArgumentException($"The board has {Slots} virtio slots; the options need {_own.Count + callers.Count}.");
    }

    /// <summary>Creates the transport of a slot, with the device in it.</summary>
    /// <param name="slot">The slot, 0 to <see cref="Slots"/> - 1, each once.</param>
    /// <param name="machine">What it is attached to.</param>
    /// <param name="line">Its interrupt.</param>
    public VirtioMmio Create(int slot, Machine machine, InterruptLine line)
    {
        VirtioDevice device;
        if (slot < _own.Count)
        {
            device = _own[slot]();
            if (device is IDisposable disposable)
                _owned.Add(disposable);
        }
        else
        {
            device = slot - _own.Count < _callers.Count ? _callers[slot - _own.Count] : new EmptySlot();
        }

        return new VirtioMmio(device, machine.Memory, machine.Clock, line);
    }

    /// <summary>Releases the devices that the board made; the caller's stay the caller's. Their transports have been released before.</summary>
    public void Dispose()
    {
        foreach (IDisposable device in _owned)
            device.Dispose();
    }
}
