using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>Physical memory protection with 16 entries (RV-Priv §3.7).</summary>
internal sealed class Pmp
{
    public const int EntryCount = 16;

    private const byte Read = 1, Write = 2, Execute = 4, Locked = 0x80;
    private const int ModeShift = 3, TopOfRange = 1, NaturallyAligned4 = 2;

    private readonly Entry[] _entries = new Entry[EntryCount];
    private int _active;
    private bool _open;

    /// <summary>Takes the ranges from the registers after one of them was written.</summary>
    public void Update(in RiscVState state)
    {
        _active = 0;
        for (int i = 0; i < EntryCount; i++)
        {
            byte configuration = state.PmpConfiguration[i];
            int mode = configuration >> ModeShift & 3;
            ulong address = state.PmpAddress[i];
            (ulong first, ulong last) = mode switch
            {
                TopOfRange => (i == 0 ? 0 : state.PmpAddress[i - 1] << 2, (address << 2) - 1),
                NaturallyAligned4 => (address << 2, (address << 2) + 3),
                _ => Napot(address),
            };
            // A range whose top lies at or below its bottom matches nothing.
            if (mode == 0 || (mode == TopOfRange && first >= address << 2))
                continue;
            _entries[_active++] = new Entry(first, last, configuration);
        }

        // Firmware usually opens all of memory with one entry.
        const byte All = Read | Write | Execute;
        _open = _active > 0 && _entries[0] is { First: 0, Last: >= (1UL << 56) - 1 } && (_entries[0].Configuration & All) == All;
    }

    /// <summary>Whether the entry's registers may not be written any more until reset.</summary>
    public static bool IsAddressLocked(in RiscVState state, int index) =>
        (state.PmpConfiguration[index] & Locked) != 0
        || (index + 1 < EntryCount && (state.PmpConfiguration[index + 1] & Locked) != 0 && (state.PmpConfiguration[index + 1] >> ModeShift & 3) == TopOfRange);

    /// <summary>The configuration byte that a write leaves: a locked one stays, and write without read is reserved.</summary>
    public static byte Legalize(byte old, byte value)
    {
        if ((old & Locked) != 0)
            return old;
        value &= 0x9f;
        return (value & (Read | Write)) == Write ? (byte)(value & ~(Read | Write | Execute) | old & (Read | Write | Execute)) : value;
    }

    /// <summary>Whether an access of <paramref name="size"/> bytes is allowed.</summary>
    /// <param name="wholePage">Whether the same holds for every byte of the 4 KiB page, so that it may be cached.</param>
    public bool Allows(ulong address, int size, MemoryAccess access, PrivilegeMode privilege, out bool wholePage)
    {
        wholePage = true;
        if (_open)
            return true;
        if (_active == 0)
            return privilege == PrivilegeMode.Machine;
        ulong page = address & ~0xfffUL, pageLast = page | 0xfff, last = address + (ulong)size - 1;
        for (int i = 0; i < _active; i++)
        {
            ref readonly Entry entry = ref _entries[i];
            if (entry.Last < page || entry.First > pageLast)
                continue;
            if (entry.First > page || entry.Last < pageLast)
                wholePage = false;
            if (entry.Last < address || entry.First > last)
                continue;
            if (entry.First > address || entry.Last < last)
                return false;
            if (privilege == PrivilegeMode.Machine && (entry.Configuration & Locked) == 0)
                return true;
            byte needed = access switch { MemoryAccess.Load => Read, MemoryAccess.Store => Write, _ => Execute };
            return (entry.Configuration & needed) != 0;
        }

        return privilege == PrivilegeMode.Machine;
    }

    private static (ulong First, ulong Last) Napot(ulong address)
    {
        int ones = System.Numerics.BitOperations.TrailingZeroCount(~address);
        if (ones >= 54)
            return (0, ulong.MaxValue);
        ulong size = 8UL << ones;
        ulong first = (address & ~((1UL << (ones + 1)) - 1)) << 2;
        return (first, first + size - 1);
    }

    private readonly record struct Entry(ulong First, ulong Last, byte Configuration);
}
