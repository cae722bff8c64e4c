using System.Buffers.Binary;

namespace VirtKit.Devices.Networking;

/// <summary>An Ethernet switch in the host's process: joins the machines whose interfaces are plugged into its ports. It learns which address is behind which
/// port. Thread-safe.</summary>
/// <remarks>Frames are handed over on the thread pool: when they arrive depends on the host, also for a machine whose own time is virtual. Sending copies a frame
/// into the queues of the ports and never waits, so switches that a host joins in a ring do not lock up; they carry their broadcasts round and round, as cables do.</remarks>
public sealed class NetworkSwitch
{
    /// <summary>The most addresses it remembers. A guest that sends from more makes it forget all, and flood until it has learned again.</summary>
    private const int MaximumAddresses = 1024;

    private readonly Lock _gate = new();
    private readonly List<NetworkPort> _ports = [];
    private readonly Dictionary<ulong, NetworkPort> _learned = [];

    /// <summary>Adds a port, which is one interface's backend.</summary>
    public NetworkPort AddPort()
    {
        var port = new NetworkPort(this);
        lock (_gate)
            _ports.Add(port);
        return port;
    }

    internal void Remove(NetworkPort port)
    {
        lock (_gate)
        {
            _ports.Remove(port);
            foreach (ulong address in _learned.Where(entry => entry.Value == port).Select(entry => entry.Key).ToArray())
                _learned.Remove(address);
        }
    }

    internal void Forward(NetworkPort from, ReadOnlySpan<byte> frame)
    {
        ulong destination = Address(frame), source = Address(frame[6..]);
        byte[] copy = frame.ToArray();
        lock (_gate)
        {
            if (!_ports.Contains(from))
                return;
            if (!IsGroup(source))
            {
                if (_learned.Count >= MaximumAddresses && !_learned.ContainsKey(source))
                    _learned.Clear();
                _learned[source] = from;
            }

            if (!IsGroup(destination) && _learned.TryGetValue(destination, out NetworkPort? only))
            {
                if (only != from)
                    only.Enqueue(copy);
                return;
            }

            foreach (NetworkPort port in _ports)
            {
                if (port != from)
                    port.Enqueue(copy);
            }
        }
    }

    private static ulong Address(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16;

    /// <summary>Whether an address names a group: bit 0 of its first byte.</summary>
    private static bool IsGroup(ulong address) => (address >> 40 & 1) != 0;
}
