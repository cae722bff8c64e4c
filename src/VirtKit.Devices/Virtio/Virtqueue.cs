using System.Runtime.InteropServices;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>The device's side of a split virtqueue (virtio-1.2 §2.7), with indirect descriptors and event index.</summary>
/// <remarks>
/// The device peeks at the oldest chain that the driver has made available, works on it and completes it; a chain that is not completed is there at the next peek.
/// Every guest structure is read once and the copy is validated. What breaks the rules (a loop, an index or address out of range, a chain longer than
/// <see cref="MaximumChainBytes"/>) fails the device: it then needs a reset, and the queue has no more chains. Used under the transport's gate.
/// A notification gives the queue one turn, which ends after <see cref="TurnBytes"/>, <see cref="TurnDescriptors"/> or as many chains as the queue has entries, whichever
/// comes first; what is left waits for the next turn. A turn is therefore at most that and one chain long, whatever the guest has put into the queue.
/// </remarks>
public sealed class Virtqueue
{
    /// <summary>The most bytes of one chain, both directions together.</summary>
    public const int MaximumChainBytes = 64 << 20;

    /// <summary>The most descriptors of one chain; Linux lets an indirect table be longer than the queue.</summary>
    public const int MaximumChainLength = 1024;

    /// <summary>How many bytes one turn moves before others get theirs: 16 MiB.</summary>
    public const int TurnBytes = 16 << 20;

    /// <summary>How many descriptors one turn serves before others get theirs. Each can cost a call of the backend, however short it is.</summary>
    public const int TurnDescriptors = 1024;

    private const ushort NoInterruptFlag = 1;

    // Wiring.
    private readonly AddressSpace _memory;
    private readonly Action _interrupt;
    private readonly Action _fail;

    // Guest-visible state.
    private State _state;

    // The chain peeked last, and what is left of the current turn.
    private readonly GuestSegment[] _segments = new GuestSegment[MaximumChainLength];
    private int _segmentCount, _readableCount;
    private long _readableBytes, _writableBytes;
    private ushort _head;
    private int _turnChains, _turnDescriptors;
    private long _turnBytes;

    internal Virtqueue(AddressSpace memory, int maximumSize, Action interrupt, Action fail)
    {
        _memory = memory;
        _interrupt = interrupt;
        _fail = fail;
        MaximumSize = maximumSize;
        Reset();
    }

    /// <summary>The most entries that the driver may choose, a power of two.</summary>
    public int MaximumSize { get; }

    /// <summary>Whether the driver has set the queue up and it works.</summary>
    public bool IsReady => _state.Ready;

    /// <summary>How much of the oldest chain the device has done, in a unit of its own, when it could not do all of it at once: 0 for a chain that was not begun. Back at 0
    /// when the chain is completed and when the queue stops, so that nothing of one driver's chain reaches the next one's.</summary>
    public long Progress
    {
        get => _state.Progress;
        set => _state.Progress = value;
    }

    /// <summary>Whether the last turn ended with chains left over, so that another one is due.</summary>
    internal bool IsDeferred
    {
        get => _state.IsDeferred;
        private set => _state.IsDeferred = value;
    }

    internal ref State Registers => ref _state;

    /// <summary>Looks at the oldest available chain without taking it.</summary>
    /// <param name="chain">The chain.</param>
    /// <returns>Whether there is one; if not, the driver will notify when it adds one.</returns>
    public bool TryPeek(out DescriptorChain chain)
    {
        chain = default;
        if (!_state.Ready || !TryFindPending())
            return false;
        if (_turnChains <= 0 || _turnBytes <= 0 || _turnDescriptors <= 0)
        {
            IsDeferred = true;
            return false;
        }

        if (!TryReadHead() || !TryReadChain())
        {
            Fail();
            return false;
        }

        ReadOnlySpan<GuestSegment> segments = _segments.AsSpan(0, _segmentCount);
        chain = new DescriptorChain(
            new GuestBuffer(_memory, segments[.._readableCount], 0, _readableBytes),
            new GuestBuffer(_memory, segments[_readableCount..], 0, _writableBytes));
        return true;
    }

    /// <summary>Gives the chain peeked last back to the driver, and interrupts it unless it does not want that.</summary>
    /// <param name="written">How many bytes the device has written, from the start of the writable part.</param>
    public void Complete(uint written)
    {
        if (!_state.Ready || !_memory.TryGetSpan(new Gpa(_state.Used), UsedBytesOf(_state), out Span<byte> used))
        {
            Fail();
            return;
        }

        int slot = _state.NextUsed & (_state.Size - 1);
        uint head = _head;
        MemoryMarshal.Write(used[(4 + slot * 8)..], in head);
        MemoryMarshal.Write(used[(8 + slot * 8)..], in written);
        ushort before = _state.NextUsed;
        _state.NextUsed++;
        _state.NextAvailable++;
        Volatile.Write(ref MemoryMarshal.AsRef<ushort>(used[2..4]), _state.NextUsed);
        Progress = 0;
        _turnChains--;
        _turnBytes -= _readableBytes + _writableBytes;
        _turnDescriptors -= _segmentCount;
        // TIMING POINT 1: the driver writes its wish and reads the used index then; here the index is written and the wish is read then. One sees the other.
        Interlocked.MemoryBarrier();
        if (WantsInterrupt(before))
            _interrupt();
    }

    /// <summary>Counts work that the chain's bytes and descriptors do not show against the queue's turn, so that a guest cannot keep the device busy without end.</summary>
    /// <param name="bytes">The work, expressed in bytes moved: 0 or more; <see cref="TurnBytes"/> or more makes the current chain the turn's last.</param>
    public void Charge(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        _turnBytes -= Math.Min(bytes, TurnBytes);
    }

    internal void BeginTurn()
    {
        _turnChains = Math.Max(MaximumSize, 64);
        _turnBytes = TurnBytes;
        _turnDescriptors = TurnDescriptors;
        IsDeferred = false;
    }

    /// <summary>Makes the queue ready if what the driver has configured is sound (virtio-1.2 §2.7: alignment 16, 2 and 4).</summary>
    internal bool TryEnable(QueueFeatures features)
    {
        State ready = _state;
        (ready.Ready, ready.Features) = (true, features);
        if (!IsSound(ready))
            return false;
        _state = ready;
        return true;
    }

    /// <summary>Whether a state is one that the queue can have: what is ready has rings of a size that is possible, in memory.</summary>
    internal bool IsSound(in State state) => !state.Ready
        || (state.Size > 0 && state.Size <= MaximumSize && (state.Size & (state.Size - 1)) == 0
            && state.Descriptors % 16 == 0 && state.Available % 2 == 0 && state.Used % 4 == 0
            && _memory.TryGetSpan(new Gpa(state.Descriptors), state.Size * Descriptor.Size, out _)
            && _memory.TryGetSpan(new Gpa(state.Available), AvailableBytesOf(state), out _)
            && _memory.TryGetSpan(new Gpa(state.Used), UsedBytesOf(state), out _));

    /// <summary>The device's reset: the driver has to configure the queue anew.</summary>
    internal void Reset()
    {
        _state = new State { Size = MaximumSize };
    }

    /// <summary>The driver takes the queue back (QueueReady 0, virtio-1.2 §4.2.2): its size and addresses stay configured, and how far the device has come is forgotten: rings
    /// start at 0 when it is made ready again.</summary>
    internal void Stop()
    {
        _state = new State { Size = _state.Size, Descriptors = _state.Descriptors, Available = _state.Available, Used = _state.Used };
    }

    private static int AvailableBytesOf(in State state) => 6 + 2 * state.Size;

    private static int UsedBytesOf(in State state) => 6 + 8 * state.Size;

    private void Fail()
    {
        _state.Ready = false;
        IsDeferred = false;
        _fail();
    }

    private bool TryReadAvailable(int offset, out ushort value)
    {
        bool mapped = _memory.TryGetSpan(new Gpa(_state.Available + (ulong)offset), 2, out Span<byte> bytes);
        value = mapped ? Volatile.Read(ref MemoryMarshal.AsRef<ushort>(bytes)) : (ushort)0;
        return mapped;
    }

    /// <summary>Whether a chain is available. When there is none, asks the driver to notify of the next one, and looks once more.</summary>
    private bool TryFindPending()
    {
        for (int attempt = 0; attempt < 2; attempt++)
        {
            if (!TryReadAvailable(2, out ushort index))
            {
                Fail();
                return false;
            }

            int pending = (ushort)(index - _state.NextAvailable);
            if (pending > _state.Size)
            {
                Fail();
                return false;
            }

            if (pending > 0)
                return true;
            if ((_state.Features & QueueFeatures.EventIndex) == 0)
                return false;
            if (_memory.TryGetSpan(new Gpa(_state.Used + (ulong)(4 + 8 * _state.Size)), 2, out Span<byte> availableEvent))
                Volatile.Write(ref MemoryMarshal.AsRef<ushort>(availableEvent), _state.NextAvailable);
            // TIMING POINT 2: as point 1, with the available index and the device's wish.
            Interlocked.MemoryBarrier();
        }

        return false;
    }

    private bool TryReadHead() => TryReadAvailable(4 + 2 * (_state.NextAvailable & (_state.Size - 1)), out _head) && _head < _state.Size;

    /// <summary>Walks the chain from its head and keeps validated copies of its descriptors.</summary>
    private bool TryReadChain()
    {
        _segmentCount = _readableCount = 0;
        _readableBytes = _writableBytes = 0;
        if (!_memory.TryGetSpan(new Gpa(_state.Descriptors), _state.Size * Descriptor.Size, out Span<byte> table))
            return false;
        bool indirect = false;
        int index = _head;
        for (int steps = 0; steps <= MaximumChainLength; steps++)
        {
            if (index >= table.Length / Descriptor.Size)
                return false;
            Descriptor descriptor = MemoryMarshal.Read<Descriptor>(table[(index * Descriptor.Size)..]);
            if ((descriptor.Flags & Descriptor.IndirectFlag) != 0)
            {
                // An indirect table holds no further one, and nothing follows it (virtio-1.2 §2.7.5.3).
                if (indirect || (_state.Features & QueueFeatures.IndirectDescriptors) == 0 || (descriptor.Flags & Descriptor.NextFlag) != 0
                    || descriptor.Length is 0 or > MaximumChainLength * Descriptor.Size || descriptor.Length % Descriptor.Size != 0
                    || !_memory.TryGetSpan(new Gpa(descriptor.Address), (int)descriptor.Length, out table))
                {
                    return false;
                }

                indirect = true;
                index = 0;
                continue;
            }

            if (!TryAdd(descriptor))
                return false;
            if ((descriptor.Flags & Descriptor.NextFlag) == 0)
                return true;
            index = descriptor.Next;
        }

        return false;
    }

    private bool TryAdd(in Descriptor descriptor)
    {
        bool writable = (descriptor.Flags & Descriptor.WriteFlag) != 0;
        // What the device reads comes first (virtio-1.2 §2.7.4.2).
        if (_segmentCount == _segments.Length || (!writable && _segmentCount != _readableCount) || descriptor.Length > MaximumChainBytes)
            return false;
        if (descriptor.Length > 0 && !_memory.TryGetSpan(new Gpa(descriptor.Address), (int)descriptor.Length, out _))
            return false;
        _segments[_segmentCount++] = new GuestSegment(new Gpa(descriptor.Address), (int)descriptor.Length);
        if (writable)
        {
            _writableBytes += descriptor.Length;
        }
        else
        {
            _readableCount++;
            _readableBytes += descriptor.Length;
        }

        return _readableBytes + _writableBytes <= MaximumChainBytes;
    }

    private bool WantsInterrupt(ushort before)
    {
        if ((_state.Features & QueueFeatures.EventIndex) == 0)
            return TryReadAvailable(0, out ushort flags) && (flags & NoInterruptFlag) == 0;
        return TryReadAvailable(4 + 2 * _state.Size, out ushort usedEvent) && (ushort)(_state.NextUsed - usedEvent - 1) < (ushort)(_state.NextUsed - before);
    }

    /// <summary>What the driver has configured, and how far the device has come.</summary>
    internal struct State : ISnapshotable
    {
        public int Size;
        public ulong Descriptors, Available, Used;
        public bool Ready;
        public QueueFeatures Features;
        public ushort NextAvailable, NextUsed;

        /// <summary><see cref="Virtqueue.Progress"/>.</summary>
        public long Progress;
        public bool IsDeferred;

        public void Visit(StateVisitor visitor)
        {
            visitor.Field("size", ref Size);
            visitor.Field("descriptors", ref Descriptors);
            visitor.Field("available", ref Available);
            visitor.Field("used", ref Used);
            visitor.Field("ready", ref Ready);
            visitor.Enumeration("features", ref Features);
            visitor.Field("next available", ref NextAvailable);
            visitor.Field("next used", ref NextUsed);
            visitor.Field("progress", ref Progress);
            visitor.Field("deferred", ref IsDeferred);
            visitor.Require(Progress is >= 0 and <= MaximumChainBytes, "progress", $"is {Progress}");
        }
    }
}

/// <summary>The negotiated features that change a queue's layout or rules.</summary>
[Flags]
internal enum QueueFeatures : byte
{
    None = 0,
    IndirectDescriptors = 1,
    EventIndex = 2,
    Both = 3,
}
