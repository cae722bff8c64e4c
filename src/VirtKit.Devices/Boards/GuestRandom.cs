using System.Security.Cryptography;

namespace VirtKit.Devices.Boards;

/// <summary>Where a board's random numbers come from: a seed, so that every run is the same, or the host's generator.</summary>
internal sealed class GuestRandom
{
    private readonly Random? _seeded;

    /// <param name="seed">What the options say; <see langword="null"/> leaves it to the scheduling.</param>
    /// <param name="scheduling">Deterministic vCPUs get deterministic numbers.</param>
    public GuestRandom(int? seed, VcpuScheduling scheduling)
    {
        seed ??= scheduling == VcpuScheduling.Deterministic ? 1 : null;
        _seeded = seed is { } value ? new Random(value) : null;
    }

    public void Fill(Span<byte> destination)
    {
        if (_seeded is null)
            RandomNumberGenerator.Fill(destination);
        else
            _seeded.NextBytes(destination);
    }
}
