using VirtKit.Boot;

namespace VirtKit.Execution;

/// <summary>The address space of a program that runs in user mode without a supervisor: which pages there are, and what the program may do with them. An address is the same in
/// guest physical memory. Changed while the CPU does not run, on the thread that owns it.</summary>
internal sealed class UserSpace
{
    private const ulong PageMask = AddressSpace.PageSize - 1;

    private UserRange[] _ranges = [];

    /// <param name="size">The length of the address space in bytes, from 0 on, in whole pages.</param>
    public UserSpace(ulong size) => Size = size;

    /// <summary>Raised after access to pages has changed of which translations may be kept: pages that were mapped before.</summary>
    public event Action<UserRange>? Changed;

    /// <summary>The length of the address space in bytes.</summary>
    public ulong Size { get; }

    /// <summary>What is mapped, in ascending order; neighbours differ in access. Setting it replaces everything.</summary>
    public UserRange[] Ranges
    {
        get => _ranges;
        set
        {
            if (ReferenceEquals(value, _ranges))
                return;
            _ranges = value;
            Changed?.Invoke(new UserRange(0, Size, ElfAccess.Read | ElfAccess.Write | ElfAccess.Execute));
        }
    }

    /// <summary>Bytes that are mapped.</summary>
    public ulong Mapped
    {
        get
        {
            ulong mapped = 0;
            foreach (UserRange range in _ranges)
                mapped += range.End - range.Start;
            return mapped;
        }
    }

    /// <summary>Whether an access may be done that does not cross a page.</summary>
    public bool Allows(ulong address, ElfAccess access) => Find(address) is { } range && (range.Access & access) == access;

    /// <summary>Whether every byte of a range may be accessed so.</summary>
    /// <param name="length">Bytes; 0 is allowed everywhere.</param>
    public bool Allows(ulong address, ulong length, ElfAccess access)
    {
        if (length > Size || address > Size - length)
            return length == 0;
        for (ulong end = address + length; address < end;)
        {
            if (Find(address) is not { } range || (range.Access & access) != access)
                return false;
            address = range.End;
        }

        return true;
    }

    /// <summary>How many bytes from an address on may be accessed so, at most a number.</summary>
    public ulong Reach(ulong address, ulong most, ElfAccess access)
    {
        ulong at = address;
        while (at - address < most && Find(at) is { } range && (range.Access & access) == access)
            at = range.End;
        return Math.Min(at - address, most);
    }

    /// <summary>Gives pages another access, whatever they had; <see cref="ElfAccess.None"/> takes them away.</summary>
    /// <param name="start">The first byte, of a page.</param>
    /// <param name="length">Bytes, in whole pages, inside the address space.</param>
    public void Map(ulong start, ulong length, ElfAccess access)
    {
        if (((start | length) & PageMask) != 0 || length > Size || start > Size - length)
            throw new ArgumentOutOfRangeException(nameof(start), $"0x{start:x}, {length} bytes: not whole pages of the address space.");
        if (length == 0)
            return;
        ulong end = start + length;
        ElfAccess before = AccessIn(start, end);
        var ranges = new List<UserRange>(_ranges.Length + 2);
        foreach (UserRange range in _ranges)
        {
            if (range.Start < start)
                ranges.Add(range with { End = Math.Min(range.End, start) });
        }

        if (access != ElfAccess.None)
            ranges.Add(new UserRange(start, end, access));
        foreach (UserRange range in _ranges)
        {
            if (range.End > end)
                ranges.Add(range with { Start = Math.Max(range.Start, end) });
        }

        _ranges = Join(ranges);
        // Nobody keeps that a page is not there.
        if (before != ElfAccess.None)
            Changed?.Invoke(new UserRange(start, end, before | access));
    }

    /// <summary>Whether no page of a range is mapped.</summary>
    public bool IsFree(ulong start, ulong length) => AccessIn(start, start + length) == ElfAccess.None;

    /// <summary>Finds the highest free range below an address.</summary>
    /// <param name="length">Bytes, in whole pages.</param>
    /// <param name="lowest">The range begins here or behind.</param>
    /// <param name="below">The range ends here or before.</param>
    /// <param name="start">Its first byte.</param>
    public bool TryFindFree(ulong length, ulong lowest, ulong below, out ulong start)
    {
        ulong end = below;
        for (int i = _ranges.Length - 1; i >= -1; i--)
        {
            ulong floor = i < 0 ? lowest : Math.Max(_ranges[i].End, lowest);
            if (floor < end && end - floor >= length)
            {
                start = end - length;
                return true;
            }

            if (i < 0 || _ranges[i].End <= lowest)
                break;
            end = Math.Min(end, _ranges[i].Start);
        }

        start = 0;
        return false;
    }

    /// <summary>What may be done with any of the pages of a range.</summary>
    private ElfAccess AccessIn(ulong start, ulong end)
    {
        var access = ElfAccess.None;
        foreach (UserRange range in _ranges)
        {
            if (range.Start < end && start < range.End)
                access |= range.Access;
        }

        return access;
    }

    private UserRange? Find(ulong address)
    {
        int low = 0, high = _ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            ref readonly UserRange range = ref _ranges[middle];
            if (address < range.Start)
                high = middle - 1;
            else if (address >= range.End)
                low = middle + 1;
            else
                return range;
        }

        return null;
    }

    private static UserRange[] Join(List<UserRange> ranges)
    {
        int count = 0;
        for (int i = 0; i < ranges.Count; i++)
        {
            if (count > 0 && ranges[count - 1].End == ranges[i].Start && ranges[count - 1].Access == ranges[i].Access)
                ranges[count - 1] = ranges[count - 1] with { End = ranges[i].End };
            else
                ranges[count++] = ranges[i];
        }

        return [.. ranges[..count]];
    }
}

/// <summary>Pages of a <see cref="UserSpace"/> with the same access.</summary>
/// <param name="Start">The first byte.</param>
/// <param name="End">The end, behind the last byte.</param>
/// <param name="Access">What the program may do.</param>
internal readonly record struct UserRange(ulong Start, ulong End, ElfAccess Access);
