using System.Buffers.Binary;
using VirtKit.Devices.Networking;

namespace VirtKit.Tests.Support;

/// <summary>A host on a network that answers ARP requests for its address, and ICMP echo requests; on the thread pool, when it gets to it.</summary>
internal sealed class EchoPeer
{
    private const int EtherType = 12, ArpOperation = 20, ArpSender = 22, ArpTarget = 32, Protocol = 23, IpSource = 26, IpTarget = 30, IcmpType = 34;

    private static readonly byte[] Mac = [2, 0, 0, 0, 0, 99], Address = [10, 0, 0, 2];
    private readonly NetworkPort _port;
    private readonly Lock _gate = new();
    private int _answered;

    public EchoPeer(NetworkSwitch network)
    {
        _port = network.AddPort();
        _port.FrameAvailable += OnFrame;
    }

    /// <summary>How many echo requests were answered.</summary>
    public int Answered => Volatile.Read(ref _answered);

    private void OnFrame()
    {
        byte[] frame = new byte[INetworkBackend.MaximumFrameLength];
        lock (_gate)
        {
            while (_port.TryReceive(frame, out int length))
            {
                if (TryAnswer(frame.AsSpan(0, length)))
                    _port.Send(frame.AsSpan(0, length));
            }
        }
    }

    /// <summary>Makes the answer of the request.</summary>
    private bool TryAnswer(Span<byte> frame)
    {
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[EtherType..]);
        if (type == 0x806 && frame.Length >= 42 && frame[ArpOperation + 1] == 1 && frame.Slice(ArpTarget + 6, 4).SequenceEqual(Address))
        {
            frame[ArpOperation + 1] = 2;
            frame.Slice(ArpSender, 10).CopyTo(frame[ArpTarget..]);
            Mac.CopyTo(frame[ArpSender..]);
            Address.CopyTo(frame[(ArpSender + 6)..]);
        }
        else if (type == 0x800 && frame.Length >= 42 && frame[Protocol] == 1 && frame[IcmpType] == 8 && frame.Slice(IpTarget, 4).SequenceEqual(Address))
        {
            frame.Slice(IpSource, 4).CopyTo(frame[IpTarget..]);
            Address.CopyTo(frame[IpSource..]);
            frame[IcmpType] = 0;
            // One's complement arithmetic: the type went from 8 to 0 in the high byte of a word.
            uint sum = BinaryPrimitives.ReadUInt16BigEndian(frame[(IcmpType + 2)..]) + 0x800u;
            BinaryPrimitives.WriteUInt16BigEndian(frame[(IcmpType + 2)..], (ushort)(sum + (sum >> 16)));
            Interlocked.Increment(ref _answered);
        }
        else
        {
            return false;
        }

        frame.Slice(6, 6).CopyTo(frame);
        Mac.CopyTo(frame[6..]);
        return true;
    }
}
