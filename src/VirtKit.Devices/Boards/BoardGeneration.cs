using System.Security.Cryptography;
using VirtKit.Devices.Virtio;

namespace VirtKit.Devices.Boards;

/// <summary>A board's generation ID, as its options have it.</summary>
internal static class BoardGeneration
{
    /// <summary>Puts it on the board, or nothing.</summary>
    /// <param name="bus">The board's memory-mapped devices.</param>
    /// <param name="options">Whether there is one, and what a restore does to it.</param>
    /// <param name="random">The board's random numbers, of which the first ID is made.</param>
    /// <param name="address">Its address.</param>
    /// <param name="input">Its interrupt.</param>
    public static void Attach(BoardBus bus, BoardOptions options, GuestRandom random, Gpa address, int input)
    {
        GenerationIdMode mode = options.GenerationId ?? (random.IsSeeded ? GenerationIdMode.Absent : GenerationIdMode.Fresh);
        if (mode == GenerationIdMode.Absent)
            return;
        Span<byte> first = stackalloc byte[VirtualMachineGenerationId.Size];
        random.Fill(first);
        var id = new Guid(first);
        EntropySource? renewal = mode == GenerationIdMode.Fresh ? Renew : null;
        bus.Attach("the generation ID", new BoardDevice(slot => new VirtualMachineGenerationId(id, slot.TakeInterrupt(input), renewal)) { Address = address });

        // The ID comes from the host's generator itself: of forks with one seed, none may guess another's.
        void Renew(Span<byte> next)
        {
            random.Reseed();
            RandomNumberGenerator.Fill(next);
        }
    }
}
