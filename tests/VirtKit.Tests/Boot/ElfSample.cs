using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;
using VirtKit.Boot;

namespace VirtKit.Tests.Boot;

/// <summary>A small well-formed ELF64 file whose every field a test knows.</summary>
internal static class ElfSample
{
    public const int ProgramHeaders = 64, Content = 0x200, Symbols = 0x300, Strings = 0x380, Sections = 0x3a0, Length = 0x460;
    public const ulong Virtual = 0xffff_ffff_8000_0000, Physical = 0x8000_0000, ToHost = Virtual + 0x40;

    /// <summary>Two segments: 16 bytes of content in 64 of memory, and 8 bytes at the next page; symbols <c>start</c> and <c>tohost</c>.</summary>
    public static byte[] Create() => Create(ElfMachine.RiscV, new Gpa(Physical));

    /// <summary>The same for another machine and place.</summary>
    public static byte[] Create(ElfMachine machine, Gpa physical)
    {
        byte[] file = new byte[Length];
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(file);
        U16(16, 2);
        U16(18, (ushort)machine);
        U32(20, 1);
        U64(24, Virtual + 4);
        U64(32, ProgramHeaders);
        U64(40, Sections);
        U16(52, 64);
        U16(54, 56);
        U16(56, 3);
        U16(58, 64);
        U16(60, 3);
        Segment(0, type: 0x6474e551, 0, 0, 0, 0, 0);
        Segment(1, type: 1, Content, Virtual, physical.Value, 16, 64);
        Segment(2, type: 1, Content + 16, Virtual + 0x1000, physical.Value + 0x1000, 8, 8);
        for (int i = 0; i < 24; i++)
            file[Content + i] = (byte)(i + 1);
        Symbol(1, name: 1, Virtual);
        Symbol(2, name: 7, ToHost);
        Encoding.ASCII.GetBytes("\0start\0tohost\0").CopyTo(file, Strings);
        Section(1, type: 2, Symbols, 72, link: 2, entry: 24);
        Section(2, type: 3, Strings, 14, link: 0, entry: 0);
        return file;

        void Segment(int index, uint type, ulong offset, ulong virtualAddress, ulong physicalAddress, ulong fileSize, ulong memorySize)
        {
            int at = ProgramHeaders + index * 56;
            U32(at, type);
            U64(at + 8, offset);
            U64(at + 16, virtualAddress);
            U64(at + 24, physicalAddress);
            U64(at + 32, fileSize);
            U64(at + 40, memorySize);
        }

        void Symbol(int index, uint name, ulong value)
        {
            int at = Symbols + index * 24;
            U32(at, name);
            U16(at + 6, 1);
            U64(at + 8, value);
        }

        void Section(int index, uint type, ulong offset, ulong size, uint link, ulong entry)
        {
            int at = Sections + index * 64;
            U32(at + 4, type);
            U64(at + 24, offset);
            U64(at + 32, size);
            U32(at + 40, link);
            U64(at + 56, entry);
        }

        void U16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);
        void U32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
        void U64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);
    }

    /// <summary>A program that the compiler built, of samples/guests.</summary>
    public static byte[] Program(string name) => File.ReadAllBytes(ProgramPath(name));

    /// <summary>The file of such a program.</summary>
    public static string ProgramPath(string name, [CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../samples/guests", name));
}
