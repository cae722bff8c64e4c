using System.Numerics;
using System.Runtime.CompilerServices;
using VirtKit.Boot;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>The platform-level interrupt controller with level-triggered gateways (RISC-V PLIC 1.0.0).</summary>
/// <remarks>
/// Register map (32 bits wide), for source 1 to <see cref="Sources"/> and context <c>c</c>:
/// <code>
/// 0x000000 + 4 * source      PRIORITY   RW  2:0, 0 is never
/// 0x001000 + 4 * word        PENDING    R   a bit a source
/// 0x002000 + 0x80 * c        ENABLE     RW  a bit a source
/// 0x200000 + 0x1000 * c      THRESHOLD  RW  2:0; only priorities above it interrupt
/// 0x200004 + 0x1000 * c      CLAIM      R   the most urgent source, no longer pending; 0 for none
///                            COMPLETE   W   the source's gateway opens again
/// </code>
/// A gateway that has forwarded a level stays shut until completion; the level it then has counts. The threshold does not hold a claim back (§8).
/// </remarks>
public sealed class Plic : IDevice, IFdtNode, ISnapshotable, IInterruptSink
{
    /// <summary>The number of interrupt sources, numbered from 1.</summary>
    public const int Sources = 96;

    /// <summary>The most contexts that this model has.</summary>
    public const int MaximumContexts = 128;

    private const ulong PendingStart = 0x1000, EnableStart = 0x2000, EnableStride = 0x80, ContextStart = 0x20_0000, ContextStride = 0x1000;
    private const uint PriorityMask = 7;

    // Wiring.
    private readonly InterruptLine[] _contexts;

    // Guest-visible state.
    private State _state;
    private ContextState[] _contextStates;

    /// <summary>Creates the controller.</summary>
    /// <param name="contexts">The line that each context drives, 1 to <see cref="MaximumContexts"/>: on a board of Linux-capable harts, machine mode and
    /// supervisor mode of hart 0, then of hart 1, and so on.</param>
    public Plic(IReadOnlyList<InterruptLine> contexts)
    {
        ArgumentNullException.ThrowIfNull(contexts);
        ArgumentOutOfRangeException.ThrowIfZero(contexts.Count, nameof(contexts));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(contexts.Count, MaximumContexts, nameof(contexts));
        _contexts = [.. contexts];
        _contextStates = new ContextState[_contexts.Length];
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("plic", 0x60_0000, AccessWidths.Word);

    /// <summary>The line into one source.</summary>
    /// <param name="source">1 to <see cref="Sources"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such source.</exception>
    public InterruptLine Input(int source)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(source, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(source, Sources);
        return new InterruptLine(this, source);
    }

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if (offset < PendingStart)
            return offset / 4 <= Sources ? _state.Priority[(int)(offset / 4)] : 0u;
        if (offset < EnableStart)
            return _state.Pending.Word((offset - PendingStart) / 4);
        if (offset < ContextStart)
        {
            ulong context = (offset - EnableStart) / EnableStride;
            return context < (ulong)_contexts.Length ? _contextStates[context].Enabled.Word(offset % EnableStride / 4) : 0;
        }
        else
        {
            ulong context = (offset - ContextStart) / ContextStride;
            if (context >= (ulong)_contexts.Length)
                return 0;
            return (offset % ContextStride) switch
            {
                0 => _contextStates[context].Threshold,
                4 => (ulong)Claim((int)context),
                _ => 0,
            };
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if (offset < PendingStart)
        {
            if (offset is > 0 and <= 4 * Sources)
                _state.Priority[(int)(offset / 4)] = (byte)(value & PriorityMask);
        }
        else if (offset is >= EnableStart and < ContextStart)
        {
            ulong context = (offset - EnableStart) / EnableStride;
            if (context < (ulong)_contexts.Length)
                _contextStates[context].Enabled.SetWord(offset % EnableStride / 4, (uint)value);
        }
        else if (offset >= ContextStart)
        {
            ulong context = (offset - ContextStart) / ContextStride;
            if (context >= (ulong)_contexts.Length)
                return;
            if (offset % ContextStride == 0)
                _contextStates[context].Threshold = (byte)(value & PriorityMask);
            else if (offset % ContextStride == 4)
                Complete((int)context, value);
        }

        UpdateLines();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // Levels are forgotten too: a machine resets its devices after the controller, and what they had asserted must not stay pending.
        _state = default;
        _contextStates.AsSpan().Clear();
        UpdateLines();
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("plic", Window.Size, resources, "sifive,plic-1.0.0", "riscv,plic0")
        .Flag("interrupt-controller").Cells("#interrupt-cells", 1).Cells("#address-cells", 0).Cells("riscv,ndev", Sources).EndNode();

    void IInterruptSink.SetInput(int input, bool level)
    {
        lock (this)
        {
            if (_state.Level.Contains(input) == level)
                return;
            _state.Level.Set(input, level);
            if (level && !_state.InService.Contains(input))
            {
                _state.Pending.Set(input, true);
                UpdateLines();
            }
        }
    }

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        ContextState[] contexts = [.. _contextStates];
        visitor.Version(1);
        visitor.Part("sources", ref state);
        visitor.Parts<ContextState>("context", contexts);
        if (!visitor.IsReading)
            return;
        (_state, _contextStates) = (state, contexts);
        UpdateLines();
    }

    private int Claim(int context)
    {
        int source = MostUrgent(context, threshold: 0);
        if (source != 0)
        {
            _state.Pending.Set(source, false);
            _state.InService.Set(source, true);
            UpdateLines();
        }

        return source;
    }

    /// <summary>A completion counts if the source is enabled for the context (§9), whoever claimed it.</summary>
    private void Complete(int context, ulong value)
    {
        if (value is 0 or > Sources || !_contextStates[context].Enabled.Contains((int)value) || !_state.InService.Contains((int)value))
            return;
        int source = (int)value;
        _state.InService.Set(source, false);
        if (_state.Level.Contains(source))
            _state.Pending.Set(source, true);
    }

    /// <summary>The pending, enabled source of the highest priority above a threshold, the lowest number among equals; 0 for none.</summary>
    private int MostUrgent(int context, int threshold)
    {
        int best = 0, bestPriority = threshold;
        for (int half = 0; half < 2; half++)
        {
            for (ulong left = _state.Pending[half] & _contextStates[context].Enabled[half]; left != 0; left &= left - 1)
            {
                int source = half * 64 + BitOperations.TrailingZeroCount(left);
                if (_state.Priority[source] > bestPriority)
                    (best, bestPriority) = (source, _state.Priority[source]);
            }
        }

        return best;
    }

    private void UpdateLines()
    {
        for (int context = 0; context < _contexts.Length; context++)
            _contexts[context].Set(MostUrgent(context, _contextStates[context].Threshold) != 0);
    }

    private struct State : ISnapshotable
    {
        public Priorities Priority;
        public SourceSet Pending;
        public SourceSet InService;
        public SourceSet Level;

        public void Visit(StateVisitor visitor)
        {
            visitor.Fields("priority", (Span<byte>)Priority);
            visitor.Part("pending", ref Pending);
            visitor.Part("in service", ref InService);
            visitor.Part("level", ref Level);
            visitor.Require(!((Span<byte>)Priority).ContainsAnyExceptInRange((byte)0, (byte)PriorityMask) && Priority[0] == 0, "priority", "is out of range");
        }
    }

    private struct ContextState : ISnapshotable
    {
        public SourceSet Enabled;
        public byte Threshold;

        public void Visit(StateVisitor visitor)
        {
            visitor.Part("enabled", ref Enabled);
            visitor.Field("threshold", ref Threshold);
            visitor.Require(Threshold <= PriorityMask, "threshold", $"is {Threshold}");
        }
    }

    /// <summary>By source, from 0, which there is not.</summary>
    [InlineArray(Sources + 1)]
    private struct Priorities
    {
        private byte _first;
    }

    /// <summary>A bit for each source; bit 0 and those past the last source stay clear.</summary>
    private struct SourceSet : ISnapshotable
    {
        private const ulong HighMask = (1ul << (Sources - 63)) - 1;
        private ulong _low, _high;

        public readonly ulong this[int half] => half == 0 ? _low : _high;

        public readonly bool Contains(int source) => (this[source >> 6] >> source & 1) != 0;

        public void Set(int source, bool member)
        {
            ulong bit = 1ul << source, low = source < 64 ? bit : 0, high = bit ^ low;
            _low = member ? _low | low : _low & ~low;
            _high = member ? _high | high : _high & ~high;
        }

        public void Visit(StateVisitor visitor)
        {
            visitor.Field("low", ref _low);
            visitor.Field("high", ref _high);
            visitor.Require((_low & 1) == 0, "low", "has source 0");
            visitor.Require((_high & ~HighMask) == 0, "high", $"has sources behind {Sources}");
        }

        public readonly uint Word(ulong index) => index < 4 ? (uint)(this[(int)(index >> 1)] >> (int)(index & 1) * 32) : 0;

        public void SetWord(ulong index, uint value)
        {
            if (index >= 4)
                return;
            int shift = (int)(index & 1) * 32;
            ulong half = this[(int)(index >> 1)] & ~(0xffff_fffful << shift) | (ulong)value << shift;
            if (index < 2)
                _low = half & ~1ul;
            else
                _high = half & HighMask;
        }
    }
}
