using VirtKit.Boot;
using VirtKit.Devices.Boards;

namespace VirtKit.Samples.BootLinux;

/// <summary>A kernel or firmware file in any of the formats that can be told apart: a Linux Image, an ELF program, otherwise a flat binary.</summary>
internal abstract record GuestImage
{
    private GuestImage() { }

    /// <summary>Reads a file's headers.</summary>
    /// <exception cref="InvalidImageException">It is of a known format and malformed.</exception>
    public static GuestImage Parse(ReadOnlyMemory<byte> file) =>
        LinuxImage.IsLinuxImage(file.Span) ? new Linux(LinuxImage.Parse(file))
        : ElfImage.IsElf(file.Span) ? new Elf(ElfImage.Parse(file, ElfMachine.RiscV))
        : new Flat(file);

    /// <summary>Loads it onto the board.</summary>
    /// <param name="board">The board.</param>
    /// <param name="place">Where a flat binary goes.</param>
    /// <returns>Where it starts and the first address behind it.</returns>
    public abstract (Gpa Entry, Gpa End) Load(RiscVVirt board, Gpa place);

    private sealed record Linux(LinuxImage Image) : GuestImage
    {
        public override (Gpa Entry, Gpa End) Load(RiscVVirt board, Gpa place)
        {
            Gpa start = Image.Load(board.Machine.Memory, RiscVVirt.FirmwareAddress);
            return (start, start + Image.MemorySize);
        }
    }

    private sealed record Elf(ElfImage Image) : GuestImage
    {
        public override (Gpa Entry, Gpa End) Load(RiscVVirt board, Gpa place)
        {
            Image.Load(board.Machine.Memory);
            return (Image.Entry, Image.Segments.Max(segment => segment.PhysicalAddress + segment.MemorySize));
        }
    }

    private sealed record Flat(ReadOnlyMemory<byte> Content) : GuestImage
    {
        public override (Gpa Entry, Gpa End) Load(RiscVVirt board, Gpa place)
        {
            if (!board.Machine.Memory.TryWrite(place, Content.Span))
                throw new InvalidImageException($"The image of {Content.Length} bytes does not fit into memory at {place}.");
            return (place, place + (ulong)Content.Length);
        }
    }
}
