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

    /// <summary>Loads it onto the board, which refuses what overlaps something else.</summary>
    /// <param name="board">The board.</param>
    /// <param name="address">Where a flat binary goes.</param>
    /// <returns>Where it starts.</returns>
    public abstract Gpa Load(RiscVVirt board, Gpa address);

    private sealed record Linux(LinuxImage Image) : GuestImage
    {
        public override Gpa Load(RiscVVirt board, Gpa address) => Image.Load(board.Machine.Memory, RiscVVirt.FirmwareAddress);
    }

    private sealed record Elf(ElfImage Image) : GuestImage
    {
        public override Gpa Load(RiscVVirt board, Gpa address)
        {
            Image.Load(board.Machine.Memory);
            return Image.Entry;
        }
    }

    private sealed record Flat(ReadOnlyMemory<byte> Content) : GuestImage
    {
        public override Gpa Load(RiscVVirt board, Gpa address) => board.Machine.Memory.Loaded.Write("the flat binary", address, Content.Span).Start;
    }
}
