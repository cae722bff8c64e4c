using System.Buffers.Binary;
using VirtKit.Boot;

namespace VirtKit.Tests.Boot;

/// <summary>Small files in the shape of x86 kernels.</summary>
internal static class BzImageSample
{
    /// <summary>A bzImage of two setup sectors with a payload.</summary>
    public static byte[] Create(ReadOnlySpan<byte> payload, uint initSize = 0x4000, ulong preferred = 0x8000_0000)
    {
        const int setup = 3 * 512, payloadOffset = 0x240;
        int size = (payloadOffset + payload.Length + 15) / 16 * 16;
        byte[] file = new byte[setup + size];
        file[0x1f1] = 2;
        Put32(file, 0x1f4, (uint)size / 16);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x1fe), 0xaa55);
        file[0x201] = 0x6a;
        Put32(file, 0x202, 0x5372_6448);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x206), 0x20f);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x20e), 0x200);
        "6.1.0-test\0"u8.CopyTo(file.AsSpan(0x400));
        file[0x211] = 1;
        file[0x236] = 1;
        Put32(file, 0x238, 2047);
        Put32(file, 0x248, payloadOffset);
        Put32(file, 0x24c, (uint)payload.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x258), preferred);
        Put32(file, 0x260, initSize);
        payload.CopyTo(file.AsSpan(setup + payloadOffset));
        return file;
    }

    /// <summary>LZ4 in one legacy block of literals and one match, with the size behind it as the kernel's build puts it: 20 bytes 0 to 19, then 300 more of the last four.</summary>
    public static byte[] Lz4()
    {
        byte[] block = [0xff, 5, .. Enumerable.Range(0, 20).Select(i => (byte)i), 4, 0, 255, 26, 0x00];
        byte[] file = [0x02, 0x21, 0x4c, 0x18, (byte)block.Length, 0, 0, 0, .. block, 64, 1, 0, 0];
        return file;
    }

    private static void Put32(byte[] file, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(offset), value);
}
