using VirtKit.Boot;
using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>Address translation of one hart: page walks through Sv39, Sv48 and Sv57 (RV-Priv §12.3-12.6, Svnapot §15), PMP, and the software TLBs that hold their results.</summary>
/// <remarks>A guest that gives its address spaces ASIDs keeps the translations of the last few; one without, that is with ASID 0, loses them when it writes satp.</remarks>
internal sealed unsafe class Mmu : IDisposable
{
    public const int Bare = 0, Sv39 = 8, Sv48 = 9, Sv57 = 10;

    private const ulong PteV = 1, PteR = 2, PteW = 4, PteX = 8, PteU = 16, PteA = 64, PteD = 128, PteN = 1UL << 63;
    private const ulong PteReserved = 0x7fUL << 54 | 3UL << 61;

    /// <summary>How many address spaces' translations are kept.</summary>
    public const int Spaces = 4;

    public const int CodeModes = 3;

    private const ulong AsidMask = 0xffffUL << 44;

    /// <summary>How often a walk tries to set A or D of an entry that other harts keep changing, before it gives the guest a page fault.</summary>
    private const int MaxEntryUpdates = 1000;

    /// <summary>Above so many pages everything is flushed rather than each.</summary>
    private const int MostPages = 64;

    private readonly AddressSpace _memory;
    private readonly UserSpace? _user;
    private readonly bool _enforcePmp;
    private readonly bool _napot;
    private readonly Tlb?[] _spaces = new Tlb?[Spaces];
    private CpuContext* _context;
    private RiscVState* _state;
    private ICpuEngine? _engine;
    private Tlb _tlb;
    private int _space;
    private ulong _switches;
    private MemoryRegion? _lastRegion;

    /// <param name="context">The hart's; as its state, until an engine is attached.</param>
    public Mmu(CpuContext* context, RiscVState* state, RiscVSystem system)
    {
        _context = context;
        _state = state;
        _memory = system.Memory;
        _user = system.User;
        _enforcePmp = system.Sbi is null;
        _napot = system.Instructions.Extensions.Contains("svnapot");
        _spaces[0] = _tlb = CreateTlb();
        SelectMode();
        _memory.Changed += OnMapChanged;
        if (_user is not null)
            _user.Changed += OnUserSpaceChanged;
    }

    public Pmp Pmp { get; } = new();

    public ulong Misses { get; private set; }

    /// <summary>The privilege that loads and stores have: the current one, or MPP while MPRV is set.</summary>
    public PrivilegeMode DataPrivilege
    {
        get
        {
            ref RiscVState state = ref *_state;
            return state.Privilege == PrivilegeMode.Machine && (state.Mstatus & Mstatus.Mprv) != 0
                ? (PrivilegeMode)(state.Mstatus >> Mstatus.MppShift & 3)
                : state.Privilege;
        }
    }

    /// <summary>The current privilege as a code mode.</summary>
    public int CodeMode => _state->Privilege == PrivilegeMode.Machine ? 2 : (int)_state->Privilege;

    /// <summary>An engine was attached to the hart, whose context and state are elsewhere now. What it may have cached of this hart is out of date.</summary>
    public void Attach(CpuContext* context, RiscVState* state, ICpuEngine engine)
    {
        _context = context;
        _state = state;
        _engine = engine;
        for (int space = 0; space < Spaces; space++)
            engine.CodeMappingChanged(space);
        engine.SpaceChanged(_space);
        engine.DataMappingChanged();
    }

    /// <summary>Points the context at the TLBs of the mode that privilege and mstatus now give.</summary>
    public void SelectMode()
    {
        DataMode mode = DataPrivilege switch
        {
            PrivilegeMode.User => DataMode.User,
            PrivilegeMode.Supervisor => (_state->Mstatus & Mstatus.Sum) != 0 ? DataMode.SupervisorWithUserMemory : DataMode.Supervisor,
            _ => DataMode.Machine,
        };
        TlbEntry* table = _tlb.ReadTable((int)mode);
        if (_context->ReadTlb == table)
            return;
        _context->ReadTlb = table;
        _context->WriteTlb = table + TlbEntry.Count;
        _engine?.DataMappingChanged();
    }

    /// <summary>Switches to the address space of the satp that was just written (RV-Priv §12.1.11). What is known of it still holds if it has an ASID, for then the guest
    /// fences what it changes; otherwise it is forgotten, which the architecture allows and simple guests rely on.</summary>
    public void SelectSpace()
    {
        ulong satp = _state->Satp;
        bool hasAsid = (satp & AsidMask) != 0;
        int space = SpaceFor(satp, hasAsid);
        Tlb tlb = _spaces[space] ??= CreateTlb();
        if (tlb.Space != satp || !hasAsid)
            Flush(space);
        tlb.Space = satp;
        tlb.LastUsed = ++_switches;
        if (space == _space)
            return;
        _space = space;
        _tlb = tlb;
        SelectMode();
        _engine?.SpaceChanged(space);
    }

    /// <summary>The hart begins anew: forgets everything, and goes on in the address space of its satp.</summary>
    public void Restart()
    {
        Flush();
        SelectSpace();
    }

    /// <summary>Forgets every translation of every address space.</summary>
    public void Flush()
    {
        for (int space = 0; space < Spaces; space++)
            Flush(space);
    }

    /// <summary>Forgets the translations of one page in every address space, and of the superpage that it may lie in.</summary>
    public void Flush(ulong address)
    {
        for (int space = 0; space < Spaces; space++)
            Flush(space, address);
    }

    /// <summary>As <see cref="Flush()"/>, in the address spaces with an ASID.</summary>
    public void FlushAsid(ulong asid)
    {
        for (int space = 0; space < Spaces; space++)
        {
            if (HasAsid(space, asid))
                Flush(space);
        }
    }

    /// <summary>As <see cref="Flush(ulong)"/>, in the address spaces with an ASID.</summary>
    public void FlushAsid(ulong address, ulong asid)
    {
        for (int space = 0; space < Spaces; space++)
        {
            if (HasAsid(space, asid))
                Flush(space, address);
        }
    }

    /// <summary>Translates the address of an instruction.</summary>
    /// <param name="page">The guest physical page.</param>
    /// <param name="host">The page's bytes in the host.</param>
    /// <param name="cached">Whether the engine hears of it when the translation goes; if not, it must not keep it.</param>
    /// <returns>Nothing, or the exception.</returns>
    public TrapCause? TranslateCode(ulong address, out ulong page, out byte* host, out bool cached)
    {
        cached = true;
        if (_tlb.TryFindCode(CodeMode, address, out page, out host))
            return null;

        Misses++;
        host = null;
        TrapCause? cause = Translate(address, 2, MemoryAccess.Execute, _state->Privilege, out ulong physical, out cached);
        page = physical & ~0xfffUL;
        if (cause is not null)
            return cause;
        if (Find(page) is not { IsMemory: true } region)
            return TrapCause.InstructionAccessFault;
        host = (byte*)region.HostAddress + (page - region.Start.Value);
        if (cached && _tlb.AddCode(CodeMode, address, page, host) is var replaced and not TlbEntry.Invalid)
            _engine?.CodeMappingChanged(_space, replaced);
        return null;
    }

    /// <summary>Translates a data access that does not cross a page, and fills the TLB.</summary>
    /// <param name="region">The mapping that the physical address lies in, or null for nowhere.</param>
    /// <returns>Nothing, or the exception.</returns>
    public TrapCause? TranslateData(ulong address, int size, MemoryAccess access, out ulong physical, out MemoryRegion? region)
    {
        TlbEntry* table = access == MemoryAccess.Load ? _context->ReadTlb : _context->WriteTlb;
        if (TryFindData(table, address, out physical, out region))
            return null;
        Misses++;
        TrapCause? cause = Translate(address, size, access, DataPrivilege, out physical, out bool cacheable);
        if (cause is not null)
            return cause;
        region = Find(physical);
        if (!cacheable || region is null)
            return null;
        ulong page = physical & ~0xfffUL, tag = address & ~0xfffUL;
        if (!region.IsMemory)
        {
            _tlb.AddDevice(table, tag, page, region);
        }
        else if (access == MemoryAccess.Load || region.IsWritable)
        {
            TlbEntry* entry = TlbEntry.At(table, address);
            var addend = (nint)((ulong)region.HostAddress + (page - region.Start.Value) - tag);
            // A guest that changes its tables without a fence sees which translations are kept: that has to be the same on every engine.
            if (entry->Tag != TlbEntry.Invalid && (entry->Tag != tag || entry->Addend != addend))
                _engine?.DataMappingChanged(entry->Tag);
            entry->Addend = addend;
            entry->Tag = tag;
            _tlb.Filled(entry);
        }

        return null;
    }

    /// <summary>Looks an access up that the fast path does not take: one to a device, one across its natural alignment, one of LR or SC.</summary>
    private bool TryFindData(TlbEntry* table, ulong address, out ulong physical, out MemoryRegion? region)
    {
        TlbEntry* entry = TlbEntry.At(table, address);
        if (entry->Tag == (address & ~0xfffUL))
        {
            region = _lastRegion;
            ulong offset = region is null ? 0 : (ulong)(entry->Addend - region.HostAddress) + address;
            if (region is not null && offset < region.Size)
            {
                physical = region.Start.Value + offset;
                return true;
            }
        }
        else if (_tlb.TryFindDevice(table, address, out physical, out region))
        {
            // Another device may have its window in the same page.
            if (!region!.Contains(new Gpa(physical)))
                region = Find(physical);
            return true;
        }

        (physical, region) = (0, null);
        return false;
    }

    public void Dispose()
    {
        _memory.Changed -= OnMapChanged;
        if (_user is not null)
            _user.Changed -= OnUserSpaceChanged;
        foreach (Tlb? space in _spaces)
            space?.Dispose();
    }

    /// <summary>Where translations under a satp are kept: where they are already; for a guest without ASIDs where it is; else where none have been used for the longest.</summary>
    private int SpaceFor(ulong satp, bool hasAsid)
    {
        if (!hasAsid && (_tlb.Space & AsidMask) == 0)
            return _space;
        int oldest = 0;
        for (int space = 0; space < Spaces; space++)
        {
            if (_spaces[space] is not { } tlb)
                return space;
            if (tlb.Space == satp)
                return space;
            if (tlb.LastUsed < _spaces[oldest]!.LastUsed)
                oldest = space;
        }

        return oldest;
    }

    private bool HasAsid(int space, ulong asid) => _spaces[space] is { } tlb && (tlb.Space & AsidMask) == (asid << 44 & AsidMask);

    private void Flush(int space)
    {
        if (_spaces[space] is not { } tlb)
            return;
        tlb.Flush();
        _engine?.CodeMappingChanged(space);
        if (space == _space)
        {
            SelectMode();
            _engine?.DataMappingChanged();
        }
    }

    private void Flush(int space, ulong address)
    {
        if (_spaces[space] is not { } tlb)
            return;
        if (tlb.MayBeLarge(address))
        {
            Flush(space);
            return;
        }

        if (tlb.Flush(address))
            _engine?.CodeMappingChanged(space, address);
        if (space == _space)
            _engine?.DataMappingChanged();
    }

    private TrapCause? Translate(ulong address, int size, MemoryAccess access, PrivilegeMode privilege, out ulong physical, out bool cacheable)
    {
        physical = address;
        cacheable = true;
        if (_user is not null)
            return _user.Allows(address, UserAccess(access)) ? null : PageFault(access);
        int mode = privilege == PrivilegeMode.Machine ? Bare : (int)(_state->Satp >> 60);
        if (mode != Bare)
        {
            TrapCause? cause = Walk(address, access, privilege, mode, out physical);
            if (cause is not null)
                return cause;
        }

        if (physical >> 56 != 0)
            return AccessFault(access);
        if (!_enforcePmp || Pmp.Allows(physical, size, access, privilege, out cacheable))
            return null;
        return AccessFault(access);
    }

    /// <summary>RV-Priv §12.3.2, step by step.</summary>
    private TrapCause? Walk(ulong address, MemoryAccess access, PrivilegeMode privilege, int mode, out ulong physical)
    {
        ref RiscVState state = ref *_state;
        int levels = mode - Sv39 + 3;
        physical = 0;
        int unused = 64 - (12 + 9 * levels);
        if ((ulong)((long)address << unused >> unused) != address)
            return PageFault(access);
        ulong table = (state.Satp & 0xfff_ffff_ffff) << 12;
        for (int level = levels - 1; level >= 0; level--)
        {
            ulong entryAddress = table + (address >> (12 + 9 * level) & 0x1ff) * 8;
            if (!TryReachEntry(entryAddress, out ulong* entry, MemoryAccess.Load))
                return AccessFault(access);
            for (int updates = 0; ; updates++)
            {
                ulong pte = Volatile.Read(ref *entry);
                if ((pte & PteV) == 0 || (pte & (PteR | PteW)) == PteW || (pte & PteReserved) != 0)
                    return PageFault(access);
                if ((pte & (PteR | PteX)) == 0)
                {
                    if ((pte & (PteA | PteD | PteU | PteN)) != 0)
                        return PageFault(access);
                    table = (pte >> 10 & 0xfff_ffff_ffff) << 12;
                    break;
                }

                if (!Permits(pte, access, privilege))
                    return PageFault(access);
                ulong pageNumber = pte >> 10 & 0xfff_ffff_ffff;
                ulong offsetMask = (1UL << (9 * level)) - 1;
                if ((pageNumber & offsetMask) != 0)
                    return PageFault(access);
                if ((pte & PteN) != 0)
                {
                    if (!_napot || level != 0 || (pageNumber & 0xf) != 8)
                        return PageFault(access);
                    offsetMask = 0xf;
                    pageNumber &= ~0xfUL;
                }

                ulong wanted = pte | PteA | (access == MemoryAccess.Store ? PteD : 0);
                if (wanted != pte)
                {
                    if ((state.Menvcfg & EnvironmentConfiguration.Adue) == 0 || updates == MaxEntryUpdates)
                        return PageFault(access);
                    if (!TryReachEntry(entryAddress, out entry, MemoryAccess.Store))
                        return AccessFault(access);
                    // Another hart may change the entry meanwhile; then the walk looks at it again.
                    if (Interlocked.CompareExchange(ref *entry, wanted, pte) != pte)
                        continue;
                }

                if (offsetMask != 0)
                    _tlb.NoteLargePage(address, offsetMask);
                physical = (pageNumber | address >> 12 & offsetMask) << 12 | address & 0xfff;
                return null;
            }
        }

        return PageFault(access);
    }

    private bool Permits(ulong pte, MemoryAccess access, PrivilegeMode privilege)
    {
        ulong status = _state->Mstatus;
        if ((pte & PteU) != 0)
        {
            if (privilege == PrivilegeMode.Supervisor && (access == MemoryAccess.Execute || (status & Mstatus.Sum) == 0))
                return false;
        }
        else if (privilege == PrivilegeMode.User)
        {
            return false;
        }

        return access switch
        {
            MemoryAccess.Load => (pte & PteR) != 0 || ((status & Mstatus.Mxr) != 0 && (pte & PteX) != 0),
            MemoryAccess.Store => (pte & PteW) != 0,
            _ => (pte & PteX) != 0,
        };
    }

    private bool TryReachEntry(ulong address, out ulong* entry, MemoryAccess access)
    {
        entry = null;
        if (_enforcePmp && !Pmp.Allows(address, 8, access, PrivilegeMode.Supervisor, out _))
            return false;
        if (Find(address) is not { IsMemory: true } region || (access == MemoryAccess.Store && !region.IsWritable))
            return false;
        // SAFETY: the address is a multiple of 8 inside the region, whose size is a multiple of a page.
        entry = (ulong*)(region.HostAddress + (nint)(address - region.Start.Value));
        return true;
    }

    private MemoryRegion? Find(ulong address)
    {
        MemoryRegion? last = _lastRegion;
        if (last is not null && last.Contains(new Gpa(address)))
            return last;
        MemoryRegion? region = _memory.Find(new Gpa(address));
        if (region is { IsMemory: true })
            _lastRegion = region;
        return region;
    }

    private void OnMapChanged()
    {
        // Only done while no vCPU runs, so the caches are nobody's. What is mapped at an address now may have other bytes than what was.
        _lastRegion = null;
        Flush();
        _engine?.CodeBytesChanged();
    }

    /// <summary>The host has changed access to pages, and may have changed their bytes; the CPU does not run.</summary>
    private void OnUserSpaceChanged(UserRange changed)
    {
        if (changed.End - changed.Start > MostPages * AddressSpace.PageSize)
        {
            Flush();
        }
        else
        {
            for (ulong page = changed.Start; page < changed.End; page += AddressSpace.PageSize)
                Flush(page);
        }

        if ((changed.Access & ElfAccess.Execute) != 0)
            _engine?.CodeBytesChanged();
    }

    private Tlb CreateTlb() => new(1 + (int)(_user is null ? DataMode.Machine : DataMode.User), CodeModes);

    private static ElfAccess UserAccess(MemoryAccess access) => access switch
    {
        MemoryAccess.Load => ElfAccess.Read,
        MemoryAccess.Store => ElfAccess.Write,
        _ => ElfAccess.Execute,
    };

    private static TrapCause PageFault(MemoryAccess access) => access switch
    {
        MemoryAccess.Load => TrapCause.LoadPageFault,
        MemoryAccess.Store => TrapCause.StorePageFault,
        _ => TrapCause.InstructionPageFault,
    };

    private static TrapCause AccessFault(MemoryAccess access) => access switch
    {
        MemoryAccess.Load => TrapCause.LoadAccessFault,
        MemoryAccess.Store => TrapCause.StoreAccessFault,
        _ => TrapCause.InstructionAccessFault,
    };
}

/// <summary>Which data accesses share their permissions, and with them a TLB.</summary>
internal enum DataMode
{
    User,
    Supervisor,
    SupervisorWithUserMemory,
    Machine,
}
