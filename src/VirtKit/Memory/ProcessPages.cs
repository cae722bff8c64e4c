using System.Buffers.Binary;

namespace VirtKit.Memory;

/// <summary>Which pages of the process are its own (Linux, Documentation/admin-guide/mm/pagemap.rst).</summary>
internal static class ProcessPages
{
    private const ulong Present = 1UL << 63, Swapped = 1UL << 62, OfFile = 1UL << 61;
    private const int PageSize = 4096, EntrySize = 8, Chunk = 64 << 10;

    /// <summary>Finds the pages of a private mapping that were written to, and are copies therefore.</summary>
    /// <param name="address">The mapping's first byte, at a page's beginning.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <param name="ranges">The pages, from the mapping's beginning, neighbours together.</param>
    /// <returns>Whether the host tells.</returns>
    public static bool TryFindPrivate(nint address, long length, out List<(long Offset, long Length)> ranges)
    {
        ranges = [];
        try
        {
            using Microsoft.Win32.SafeHandles.SafeFileHandle map = File.OpenHandle("/proc/self/pagemap");
            byte[] entries = new byte[Chunk];
            for (long page = 0, pages = length / PageSize; page < pages; page += Chunk / EntrySize)
            {
                Span<byte> wanted = entries.AsSpan(0, (int)Math.Min(Chunk, (pages - page) * EntrySize));
                if (RandomAccess.Read(map, wanted, (address / PageSize + page) * EntrySize) != wanted.Length)
                    return false;
                for (int i = 0; i < wanted.Length; i += EntrySize)
                {
                    ulong entry = BinaryPrimitives.ReadUInt64LittleEndian(wanted[i..]);
                    if ((entry & (Present | Swapped)) == 0 || (entry & OfFile) != 0)
                        continue;
                    long offset = (page + i / EntrySize) * PageSize;
                    if (ranges.Count > 0 && ranges[^1].Offset + ranges[^1].Length == offset)
                        ranges[^1] = (ranges[^1].Offset, ranges[^1].Length + PageSize);
                    else
                        ranges.Add((offset, PageSize));
                }
            }

            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
