using System.Buffers.Binary;

namespace VirtKit.Boot.Linux;

/// <summary>The guest's program <c>exit-port</c>: writes the byte on its standard input to the board's debug exit port, which ends the machine with it. Debian's cloud
/// kernel has no /dev/port, and busybox cannot ask for a port.</summary>
internal static class ExitPortProgram
{
    private const ulong Address = 0x40_0000;
    private const int HeaderSize = 64, SegmentSize = 56, Start = HeaderSize + SegmentSize;

    private static ReadOnlySpan<byte> Code =>
    [
        0xbf, 0xf4, 0x00, 0x00, 0x00, // mov edi, 0xf4
        0xbe, 0x01, 0x00, 0x00, 0x00, // mov esi, 1
        0x89, 0xf2, // mov edx, esi
        0xb8, 0xad, 0x00, 0x00, 0x00, // mov eax, 173 (ioperm)
        0x0f, 0x05, // syscall
        0x31, 0xff, // xor edi, edi
        0x48, 0x8d, 0x74, 0x24, 0xf8, // lea rsi, [rsp - 8]
        0xba, 0x01, 0x00, 0x00, 0x00, // mov edx, 1
        0x31, 0xc0, // xor eax, eax (read)
        0x0f, 0x05, // syscall
        0x8a, 0x44, 0x24, 0xf8, // mov al, [rsp - 8]
        0xe6, 0xf4, // out 0xf4, al
        0x31, 0xff, // xor edi, edi
        0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60 (exit)
        0x0f, 0x05, // syscall
    ];

    /// <summary>The program as an ELF file of one segment.</summary>
    public static byte[] Build()
    {
        byte[] file = new byte[Start + Code.Length];
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(file);
        Put(16, 2); // ET_EXEC
        Put(18, 62); // EM_X86_64
        Put(20, 1);
        Put(24, Address + Start);
        Put(32, HeaderSize);
        Put(52, HeaderSize);
        Put(54, SegmentSize);
        Put(56, 1);
        Put(HeaderSize, 1 | (5ul << 32)); // PT_LOAD, read and execute
        Put(HeaderSize + 16, Address);
        Put(HeaderSize + 24, Address);
        Put(HeaderSize + 32, (ulong)file.Length);
        Put(HeaderSize + 40, (ulong)file.Length);
        Put(HeaderSize + 48, 0x1000);
        Code.CopyTo(file.AsSpan(Start));
        return file;

        // In ascending order: what a wider value touches behind a narrow field is written after it.
        void Put(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);
    }
}
