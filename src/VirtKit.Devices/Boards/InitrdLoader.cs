using VirtKit.Boot;

namespace VirtKit.Devices.Boards;

/// <summary>Where a board puts its initial RAM disk: at its usual place, or else at the highest free one.</summary>
internal static class InitrdLoader
{
    private const string Name = "the initial RAM disk";

    /// <summary>Loads the disk in the place of the one before.</summary>
    /// <exception cref="LoadOverlapException">There is no free place between <paramref name="low"/> and <paramref name="high"/>; the disk before stays.</exception>
    public static Gpa Load(AddressSpace memory, ref LoadedRange? current, ReadOnlySpan<byte> image, Gpa low, Gpa high, Gpa? preferred)
    {
        ulong size = (ulong)image.Length;
        LoadedRange? before = Current(memory, current);
        if (before is not null)
            memory.Loaded.Release(before);
        if (image.IsEmpty)
        {
            current = null;
            return preferred ?? high;
        }

        try
        {
            if (preferred is not { } start || high < start || size > high - start || memory.Loaded.FindOverlap(start, size) is not null)
            {
                // Where nothing is free the highest place is tried, whose refusal names what is there.
                if (!memory.Loaded.TryFindFree(size, AddressSpace.PageSize, low, high, out start))
                    start = new Gpa(Math.Max((high.Value - size) / AddressSpace.PageSize * AddressSpace.PageSize, low.Value));
            }

            current = memory.Loaded.Write(Name, start, image);
            return start;
        }
        catch (LoadOverlapException) when (before is not null)
        {
            memory.Loaded.Claim(before.Name, before.Start, before.Size);
            throw;
        }
    }

    /// <summary>The disk, where it is still claimed: a reset forgets it.</summary>
    public static LoadedRange? Current(AddressSpace memory, LoadedRange? range) => range is not null && memory.Loaded.Ranges.Contains(range) ? range : null;
}
