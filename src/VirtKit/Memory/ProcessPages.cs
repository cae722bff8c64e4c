using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Memory;

/// <summary>Which pages of the process are its own (Linux, Documentation/admin-guide/mm/pagemap.rst).</summary>
internal static unsafe class ProcessPages
{
    private const ulong Present = 1UL << 63, Swapped = 1UL << 62, OfFile = 1UL << 61;
    private const int PageSize = 4096, EntrySize = 8, Chunk = 64 << 10;

    /// <summary><c>PAGEMAP_SCAN</c>, and its categories of pages.</summary>
    private const uint ScanRequest = 0xc060_6610;
    private const ulong ScanOfFile = 1 << 2, ScanPresent = 1 << 3, ScanSwapped = 1 << 4;
    private const int ScanRanges = 512;

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
            using SafeFileHandle map = File.OpenHandle("/proc/self/pagemap");
            return TryScan(map, address, length, ranges) || TryRead(map, address, length, ranges);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Asks for the ranges (Linux 6.7), which costs nothing where nothing is mapped: 64 GiB of memory that is mostly untouched have 128 MiB of entries.</summary>
    internal static bool TryScan(SafeFileHandle map, nint address, long length, List<(long Offset, long Length)> ranges)
    {
        Span<ScanRange> found = stackalloc ScanRange[ScanRanges];
        fixed (ScanRange* first = found)
        {
            var scan = new ScanArgument
            {
                Size = (ulong)sizeof(ScanArgument), Start = (ulong)address, End = (ulong)(address + length), Found = (ulong)first, FoundLength = ScanRanges,
                Inverted = ScanOfFile, All = ScanOfFile, Any = ScanPresent | ScanSwapped, Returned = ScanOfFile,
            };
            while (scan.Start < scan.End)
            {
                int count = ioctl((int)map.DangerousGetHandle(), ScanRequest, &scan);
                // Where it walked no further there is no end.
                if (count < 0 || scan.WalkEnd <= scan.Start)
                {
                    ranges.Clear();
                    return false;
                }

                foreach (ScanRange range in found[..count])
                    Add(ranges, (long)range.Start - address, (long)(range.End - range.Start));
                scan.Start = scan.WalkEnd;
            }
        }

        return true;
    }

    /// <summary>Reads the entry of each page.</summary>
    internal static bool TryRead(SafeFileHandle map, nint address, long length, List<(long Offset, long Length)> ranges)
    {
        byte[] entries = new byte[Chunk];
        for (long page = 0, pages = length / PageSize; page < pages; page += Chunk / EntrySize)
        {
            Span<byte> wanted = entries.AsSpan(0, (int)Math.Min(Chunk, (pages - page) * EntrySize));
            if (RandomAccess.Read(map, wanted, (address / PageSize + page) * EntrySize) != wanted.Length)
                return false;
            for (int i = 0; i < wanted.Length; i += EntrySize)
            {
                ulong entry = BinaryPrimitives.ReadUInt64LittleEndian(wanted[i..]);
                if ((entry & (Present | Swapped)) != 0 && (entry & OfFile) == 0)
                    Add(ranges, (page + i / EntrySize) * PageSize, PageSize);
            }
        }

        return true;
    }

    private static void Add(List<(long Offset, long Length)> ranges, long offset, long length)
    {
        if (ranges.Count > 0 && ranges[^1].Offset + ranges[^1].Length == offset)
            ranges[^1] = (ranges[^1].Offset, ranges[^1].Length + length);
        else
            ranges.Add((offset, length));
    }

    /// <summary><c>struct pm_scan_arg</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct ScanArgument
    {
        public ulong Size, Flags, Start, End, WalkEnd, Found, FoundLength, MaxPages, Inverted, All, Any, Returned;
    }

    /// <summary><c>struct page_region</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct ScanRange
    {
        public ulong Start, End, Categories;
    }
}
