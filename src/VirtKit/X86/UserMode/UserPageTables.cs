using System.Runtime.InteropServices;

namespace VirtKit.X86;

/// <summary>Four-level page tables (SDM 3A §4.5) in guest memory, written by the host alone, and the frames that they map.</summary>
/// <remarks>The host itself only ever makes an absent entry present, and a frame that has been a table stays one: an engine may keep what it has seen of them, and
/// nobody has to be told. What is present the guest's own processor changes (<see cref="UserSupervisor.EditStub"/>).</remarks>
internal sealed class UserPageTables
{
    private const ulong Present = 1, Writable = 2, User = 4, Large = 0x80, NoExecute = 1UL << 63, FrameMask = 0x000f_ffff_ffff_f000;

    private readonly AddressSpace _memory;
    private readonly ulong _end;
    private readonly Stack<ulong> _returned = [];
    private ulong _next;

    /// <param name="memory">Memory whose RAM starts at 0.</param>
    /// <param name="first">The first free frame.</param>
    /// <param name="end">The end of the frames.</param>
    public UserPageTables(AddressSpace memory, ulong first, ulong end)
    {
        _memory = memory;
        _next = first;
        _end = end;
        Root = TakeFrame();
    }

    /// <summary>The root table, for CR3.</summary>
    public ulong Root { get; }

    /// <summary>Frames that are left.</summary>
    public ulong FreeFrames => ((_end - _next) / AddressSpace.PageSize) + (ulong)_returned.Count;

    /// <summary>Takes a zeroed frame.</summary>
    /// <exception cref="VirtKitException">None is left.</exception>
    public ulong TakeFrame()
    {
        if (_returned.TryPop(out ulong used))
        {
            Span<byte> zeros = stackalloc byte[AddressSpace.PageSize];
            zeros.Clear();
            _memory.Write(new Gpa(used), zeros);
            return used;
        }

        if (_next >= _end)
            throw new VirtKitException("The program's memory is used up.");
        ulong frame = _next;
        _next += AddressSpace.PageSize;
        return frame;
    }

    /// <summary>Gives back a frame that was mapped for the program.</summary>
    public void ReturnFrame(ulong frame) => _returned.Push(frame);

    /// <summary>The bits of an entry that grant an access.</summary>
    public static ulong AccessBits(X64UserAccess access) => (access.HasFlag(X64UserAccess.Write) ? Writable : 0) | (access.HasFlag(X64UserAccess.Execute) ? 0 : NoExecute);

    /// <summary>All bits that <see cref="AccessBits"/> gives.</summary>
    public const ulong AccessMask = Writable | NoExecute;

    /// <summary>Maps one page.</summary>
    /// <exception cref="ArgumentException">Something is mapped there.</exception>
    public void Map(ulong address, ulong frame, bool user, X64UserAccess access) => SetEntry(address, 12, frame | Present | (user ? User : 0) | AccessBits(access));

    /// <summary>Maps 2 MiB for the supervisor to read and write.</summary>
    public void MapLarge(ulong address, ulong frame) => SetEntry(address, 21, frame | Present | Large | AccessBits(X64UserAccess.Write));

    /// <summary>Finds where a mapped page's entry stands.</summary>
    public bool TryFindEntry(ulong address, out ulong at)
    {
        ulong entry = Root | Present;
        at = 0;
        for (int shift = 39; shift >= 12; shift -= 9)
        {
            at = (entry & FrameMask) + (Index(address, shift) * 8);
            entry = Read(at);
            if ((entry & Present) == 0)
                return false;
        }

        return true;
    }

    /// <summary>Finds a user page's frame and the access to it.</summary>
    public bool TryFind(ulong address, out ulong frame, out X64UserAccess access)
    {
        frame = 0;
        access = X64UserAccess.Read;
        if (address >> 47 != 0)
            return false;
        if (!TryFindEntry(address, out ulong at))
            return false;
        ulong entry = Read(at);
        frame = entry & FrameMask;
        access = ((entry & Writable) != 0 ? X64UserAccess.Write : 0) | ((entry & NoExecute) == 0 ? X64UserAccess.Execute : 0);
        return (entry & User) != 0;
    }

    private void SetEntry(ulong address, int level, ulong value)
    {
        ulong table = Root;
        for (int shift = 39; shift > level; shift -= 9)
        {
            ulong at = table + (Index(address, shift) * 8), entry = Read(at);
            if ((entry & Present) == 0)
            {
                entry = TakeFrame() | Present | Writable | User;
                Write(at, entry);
            }

            table = entry & FrameMask;
        }

        ulong leaf = table + (Index(address, level) * 8);
        if ((Read(leaf) & Present) != 0)
            throw new ArgumentException($"0x{address:x} is mapped already.", nameof(address));
        Write(leaf, value);
    }

    private static ulong Index(ulong address, int shift) => (address >> shift) & 511;

    private ulong Read(ulong at) => _memory.TryRead(new Gpa(at), out ulong value) ? value : 0;

    private void Write(ulong at, ulong value) => _memory.Write(new Gpa(at), MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value)));
}
