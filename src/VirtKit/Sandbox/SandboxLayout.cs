using VirtKit.Boot;

namespace VirtKit.Sandboxing;

/// <summary>Where everything lies in a sandbox's addresses: the program, room for its heap and for large arguments, the stack, and behind it the
/// addresses at which the program leaves for the host.</summary>
internal sealed record SandboxLayout
{
    /// <summary>Nothing is mapped below, so that small numbers are no pointers.</summary>
    public const ulong Lowest = 0x1_0000;

    /// <summary>A window ends here at the latest.</summary>
    public const ulong Limit = 1UL << 32;

    /// <summary>How many addresses there are from <see cref="Gate"/> on.</summary>
    public const ulong GateLength = 0x1000;

    private const ulong Guard = 0x1_0000;

    /// <summary>A compiler's program has about four segments; each is a range of pages of its own.</summary>
    private const int MostSegments = 64;

    /// <param name="image">The program.</param>
    /// <param name="memory">How many bytes it may have in all.</param>
    /// <param name="stack">How many of these are its stack.</param>
    /// <exception cref="InvalidImageException">The program lies where no window can be.</exception>
    /// <exception cref="ArgumentException">The memory does not hold the program and its stack.</exception>
    public SandboxLayout(ElfImage image, ulong memory, ulong stack)
    {
        if (image.Segments.Count > MostSegments)
            throw new InvalidImageException($"The program has {image.Segments.Count} segments; {MostSegments} are possible.");
        ulong lowest = ulong.MaxValue, end = 0, taken = 0;
        foreach (ElfSegment segment in image.Segments)
        {
            if (segment.MemorySize == 0)
                continue;
            ulong start = segment.VirtualAddress.Value;
            if (segment.MemorySize > Limit || start > Limit - segment.MemorySize)
                throw new InvalidImageException($"A segment of the program lies at {segment.VirtualAddress}, {segment.MemorySize} bytes: a sandbox has the addresses below 0x{Limit:x}.");
            lowest = Math.Min(lowest, PageOf(start));
            end = Math.Max(end, RoundUp(start + segment.MemorySize));
            taken += RoundUp(start + segment.MemorySize) - PageOf(start);
        }

        if (end == 0)
            throw new InvalidImageException("All segments of the program are empty.");
        Bias = image.IsPositionIndependent ? Lowest - Math.Min(lowest, Lowest) : 0;
        if (lowest + Bias < AddressSpace.PageSize)
            throw new InvalidImageException($"The program lies at 0x{lowest:x}, where null pointers point to. Link it at 0x{Lowest:x} or above.");
        if (taken + stack > memory)
            throw new ArgumentException($"{memory} bytes of memory do not hold the program ({taken} bytes) and its stack ({stack}).", nameof(memory));
        HeapStart = end + Bias + Guard;
        ulong size = HeapStart + RoundUp(memory) + 2 * Guard;
        if (size > Limit)
            throw new ArgumentException($"{memory} bytes of memory behind the program, which ends at 0x{end:x}, do not lie below 0x{Limit:x}.", nameof(memory));
        Size = size;
        Gate = size;
        StackTop = size - Guard;
        StackStart = StackTop - RoundUp(stack);
        HeapEnd = StackStart - Guard;
    }

    /// <summary>What is added to the program's addresses.</summary>
    public ulong Bias { get; }

    /// <summary>The length of the window, from 0 on.</summary>
    public ulong Size { get; }

    /// <summary>From here to <see cref="HeapEnd"/> memory is mapped as it is asked for.</summary>
    public ulong HeapStart { get; }

    /// <summary>The end of what can be mapped.</summary>
    public ulong HeapEnd { get; }

    /// <summary>The lowest byte of the stack.</summary>
    public ulong StackStart { get; }

    /// <summary>The end of the stack, from which it grows down.</summary>
    public ulong StackTop { get; }

    /// <summary>Where functions return to. Nothing is mapped here, and no instruction runs.</summary>
    public ulong Gate { get; }

    /// <summary>Where functions of the host are called at, with their entry of the table of imports in t0.</summary>
    public ulong HostGate => Gate + 16;

    public static ulong PageOf(ulong address) => address & ~(ulong)(AddressSpace.PageSize - 1);

    public static ulong RoundUp(ulong bytes) => PageOf(bytes + AddressSpace.PageSize - 1);
}
