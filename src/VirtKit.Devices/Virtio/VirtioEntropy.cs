using System.Security.Cryptography;
using VirtKit.Devices.Boards;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>Fills a buffer with random bytes.</summary>
/// <param name="destination">What to fill, whole.</param>
public delegate void EntropySource(Span<byte> destination);

/// <summary>A source of random bytes (virtio-1.2 §5.4).</summary>
public sealed class VirtioEntropy : VirtioDevice
{
    /// <summary>The most bytes given for one buffer. The driver asks again when it wants more.</summary>
    private const long MaximumBytes = 64 << 10;

    private readonly EntropySource _source;

    /// <summary>The generator behind the source, where it is the board's.</summary>
    private readonly GuestRandom? _random;

    /// <summary>Creates the device.</summary>
    /// <param name="source">Where the bytes come from; <see langword="null"/> for the host's cryptographic generator. What state it has is not saved with the device's.</param>
    public VirtioEntropy(EntropySource? source = null) : base("virtio-entropy", deviceId: 4, 64) => _source = source ?? RandomNumberGenerator.Fill;

    internal VirtioEntropy(GuestRandom random) : this(random.Fill) => _random = random;

    /// <inheritdoc/>
    public override void Visit(StateVisitor visitor)
    {
        base.Visit(visitor);
        if (_random is not null)
            visitor.Part("random", _random);
    }

    /// <inheritdoc/>
    protected internal override void Process(int queue)
    {
        while (Queue(0).TryPeek(out DescriptorChain chain))
        {
            long length = Math.Min(chain.Writable.Length, MaximumBytes);
            foreach (Span<byte> span in chain.Writable.Slice(0, length))
                Fill(span);
            Queue(0).Complete((uint)length);
        }
    }

    /// <summary>The board's numbers are part of the machine; those of anybody else come from outside.</summary>
    private void Fill(Span<byte> span)
    {
        if (_random is null && Outside.IsReplayed)
        {
            Outside.Replay(span);
            return;
        }

        try
        {
            _source(span);
        }
        catch when (_random is null)
        {
            Outside.RecordFailure();
            throw;
        }

        if (_random is null)
            Outside.Record(span);
    }
}
