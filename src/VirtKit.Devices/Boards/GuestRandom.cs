using System.Buffers.Binary;
using System.Security.Cryptography;
using VirtKit.State;

namespace VirtKit.Devices.Boards;

/// <summary>Where a board's random numbers come from: a seed, so that every run is the same, or the host's generator.</summary>
/// <remarks>Seeded numbers are SplitMix64's (Steele, Lea, Flood 2014), whose state is one number and can be saved.</remarks>
internal sealed class GuestRandom : ISnapshotable
{
    private readonly bool _seeded;
    private ulong _state;

    /// <param name="seed">What the options say; <see langword="null"/> leaves it to the scheduling.</param>
    /// <param name="scheduling">Deterministic vCPUs get deterministic numbers.</param>
    public GuestRandom(int? seed, VcpuScheduling scheduling)
    {
        seed ??= scheduling == VcpuScheduling.Deterministic ? 1 : null;
        _seeded = seed is not null;
        _state = (uint)(seed ?? 0);
    }

    /// <summary>Whether every run has the same numbers.</summary>
    public bool IsSeeded => _seeded;

    public void Fill(Span<byte> destination)
    {
        if (!_seeded)
        {
            RandomNumberGenerator.Fill(destination);
            return;
        }

        Span<byte> number = stackalloc byte[8];
        for (; !destination.IsEmpty; destination = destination[Math.Min(8, destination.Length)..])
        {
            BinaryPrimitives.WriteUInt64LittleEndian(number, Next());
            number[..Math.Min(8, destination.Length)].CopyTo(destination);
        }
    }

    /// <summary>Begins other numbers than those that would have come, with a seed of the host's generator. Numbers that are the host's are others anyway.</summary>
    public void Reseed()
    {
        if (_seeded)
            _state = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
    }

    public void Visit(StateVisitor visitor)
    {
        bool seeded = _seeded;
        ulong state = _state;
        visitor.Version(1);
        visitor.Field("seeded", ref seeded);
        visitor.Field("state", ref state);
        visitor.Require(seeded == _seeded, "seeded", $"is {seeded}, and the board's option {nameof(BoardOptions.Seed)} says otherwise");
        if (visitor.IsReading)
            _state = state;
    }

    private ulong Next()
    {
        ulong z = _state += 0x9e37_79b9_7f4a_7c15;
        z = (z ^ z >> 30) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ z >> 27) * 0x94d0_49bb_1331_11eb;
        return z ^ z >> 31;
    }
}
