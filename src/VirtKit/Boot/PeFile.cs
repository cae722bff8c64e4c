using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>The headers of a PE executable (Microsoft PE Format, "COFF File Header" and "Section Table"), as far as they tell how long its file is.</summary>
internal static class PeFile
{
    private const uint Signature = 0x4550;
    private const int HeaderSize = 24, SectionSize = 40;

    /// <summary>Whether a file has the DOS magic number and the PE signature.</summary>
    public static bool IsPe(ReadOnlySpan<byte> file)
    {
        if (file.Length < 64 || !file.StartsWith("MZ"u8))
            return false;
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(file[60..]);
        return offset <= (uint)(file.Length - 4) && BinaryPrimitives.ReadUInt32LittleEndian(file[(int)offset..]) == Signature;
    }

    /// <summary>How many bytes the headers and the sections' content take, in a file that <see cref="IsPe"/>.</summary>
    public static ulong RequiredLength(ReadOnlySpan<byte> file)
    {
        ulong offset = BinaryPrimitives.ReadUInt32LittleEndian(file[60..]);
        if (offset + HeaderSize > (ulong)file.Length)
            return offset + HeaderSize;
        ReadOnlySpan<byte> header = file[(int)offset..];
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        ulong table = offset + HeaderSize + BinaryPrimitives.ReadUInt16LittleEndian(header[20..]), required = table + (ulong)count * SectionSize;
        if (required > (ulong)file.Length)
            return required;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> section = file.Slice((int)table + i * SectionSize, SectionSize);
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(section[16..]), start = BinaryPrimitives.ReadUInt32LittleEndian(section[20..]);
            if (size != 0)
                required = Math.Max(required, (ulong)start + size);
        }

        return required;
    }
}
