using System.Security.Cryptography;

namespace VirtKit.Devices.Virtio;

/// <summary>Fills a buffer with random bytes.</summary>
/// <param name="destination">What to fill, whole.</param>
public delegate void EntropySource(Span<byte> destination);

/// <summary>A source of random bytes (virtio-1.2 §5.4).</summary>
/// <param name="source">Where they come from; <see langword="null"/> for the host's cryptographic generator.</param>
public sealed class VirtioEntropy(EntropySource? source = null) : VirtioDevice("virtio-entropy", deviceId: 4, 64)
{
    /// <summary>The most bytes given for one buffer. The driver asks again when it wants more.</summary>
    private const long MaximumBytes = 64 << 10;

    private readonly EntropySource _source = source ?? RandomNumberGenerator.Fill;

    /// <inheritdoc/>
    protected internal override void Process(int queue)
    {
        while (Queue(0).TryPeek(out DescriptorChain chain))
        {
            long length = Math.Min(chain.Writable.Length, MaximumBytes);
            foreach (Span<byte> span in chain.Writable.Slice(0, length))
                _source(span);
            Queue(0).Complete((uint)length);
        }
    }
}
