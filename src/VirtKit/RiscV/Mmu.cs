using VirtKit.Memory;

namespace VirtKit.RiscV;

/// <summary>Address translation of one hart: page walks through Sv39, Sv48 and Sv57 (RV-Priv §12.3-12.6, Svnapot §15), PMP, and the software TLBs that hold their results.</summary>
/// <remarks>Data TLBs exist once per <see cref="Mode"/>, so that a trap into the kernel and back keeps them.</remarks>
internal sealed unsafe class Mmu : IDisposable
{
    public const int Bare = 0, Sv39 = 8, Sv48 = 9, Sv57 = 10;

    private const ulong PteV = 1, PteR = 2, PteW = 4, PteX = 8, PteU = 16, PteA = 64, PteD = 128, PteN = 1UL << 63;
    private const ulong PteReserved = 0x7fUL << 54 | 3UL << 61;

    /// <summary>A kernel's code: an entry that makes room for another costs the engine what it knows of the page.</summary>
    private const int CodeEntries = 1024;

    /// <summary>How often a walk tries to set A or D of an entry that other harts keep changing, before it gives the guest a page fault.</summary>
    private const int MaxEntryUpdates = 1000;

    private readonly HartContext* _context;
    private readonly AddressSpace _memory;
    private readonly IHartEngine? _engine;
    private readonly bool _enforcePmp;
    private readonly bool _napot;
    private readonly NativeBlock _block = new(Modes * 2 * TlbEntry.Count * sizeof(TlbEntry));
    private readonly TlbEntry* _tables;
    private readonly CodeEntry[] _code = new CodeEntry[CodeEntries * 3];

    /// <summary>The entries that were filled since the last flush, so that a flush costs what was filled; past the end it clears everything.</summary>
    private readonly nint[] _filled = new nint[4096];
    private int _filledCount;

    /// <summary>Entries of other flushes are invalid.</summary>
    private ulong _codeFlushes = 1;
    private MemoryRegion? _lastRegion;
    private ulong _largeBase = TlbEntry.Invalid, _largeMask = ulong.MaxValue;

    private const int Modes = 4;

    public Mmu(HartContext* context, RiscVSystem system, IHartEngine? engine)
    {
        _context = context;
        _memory = system.Memory;
        _engine = engine;
        _enforcePmp = system.Sbi is null;
        _napot = system.Instructions.Extensions.Contains("svnapot");
        _tables = (TlbEntry*)_block.Pointer;
        new Span<TlbEntry>(_tables, Modes * 2 * TlbEntry.Count).Fill(new TlbEntry { Tag = TlbEntry.Invalid });
        SelectMode();
        _memory.Changed += OnMapChanged;
    }

    /// <summary>Which data accesses share their permissions, and with them a TLB.</summary>
    private enum Mode
    {
        User,
        Supervisor,
        SupervisorWithUserMemory,
        Machine,
    }

    public Pmp Pmp { get; } = new();

    public ulong Misses { get; private set; }

    /// <summary>The privilege that loads and stores have: the current one, or MPP while MPRV is set.</summary>
    public PrivilegeMode DataPrivilege
    {
        get
        {
            ref RiscVState state = ref _context->State;
            return state.Privilege == PrivilegeMode.Machine && (state.Mstatus & Mstatus.Mprv) != 0
                ? (PrivilegeMode)(state.Mstatus >> Mstatus.MppShift & 3)
                : state.Privilege;
        }
    }

    /// <summary>Points the context at the TLBs of the mode that privilege and mstatus now give.</summary>
    public void SelectMode()
    {
        Mode mode = DataPrivilege switch
        {
            PrivilegeMode.User => Mode.User,
            PrivilegeMode.Supervisor => (_context->State.Mstatus & Mstatus.Sum) != 0 ? Mode.SupervisorWithUserMemory : Mode.Supervisor,
            _ => Mode.Machine,
        };
        TlbEntry* table = _tables + (int)mode * 2 * TlbEntry.Count;
        if (_context->ReadTlb == table)
            return;
        _context->ReadTlb = table;
        _context->WriteTlb = table + TlbEntry.Count;
        _engine?.DataMappingChanged();
    }

    /// <summary>Forgets every translation.</summary>
    public void Flush()
    {
        FlushData();
        _codeFlushes++;
        _engine?.CodeMappingChanged();
    }

    /// <summary>Forgets the translations of one page, and of the superpage that it may lie in.</summary>
    public void Flush(ulong address)
    {
        if ((address & _largeMask) == _largeBase)
        {
            Flush();
            return;
        }

        for (int mode = 0; mode < Modes * 2; mode++)
        {
            TlbEntry* entry = TlbEntry.At(_tables + mode * TlbEntry.Count, address);
            if (entry->Tag == (address & ~0xfffUL))
                entry->Tag = TlbEntry.Invalid;
        }

        _engine?.DataMappingChanged();

        for (int mode = 0; mode < 3; mode++)
        {
            ref CodeEntry entry = ref _code[mode * CodeEntries + (int)(address >> 12 & (CodeEntries - 1))];
            if (entry.Page != (address & ~0xfffUL) || entry.Flushes != _codeFlushes)
                continue;
            entry.Flushes = 0;
            _engine?.CodeMappingChanged(address);
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
        ref CodeEntry entry = ref CodeEntryOf((int)_context->State.Privilege, address);
        if (entry.Page == (address & ~0xfffUL) && entry.Flushes == _codeFlushes)
        {
            page = entry.Physical;
            host = (byte*)entry.Host;
            return null;
        }

        Misses++;
        host = null;
        TrapCause? cause = Translate(address, 2, MemoryAccess.Execute, _context->State.Privilege, out ulong physical, out cached);
        page = physical & ~0xfffUL;
        if (cause is not null)
            return cause;
        if (Find(page) is not { IsMemory: true } region)
            return TrapCause.InstructionAccessFault;
        host = (byte*)region.HostAddress + (page - region.Start.Value);
        if (cached)
        {
            if (entry.Flushes == _codeFlushes)
                _engine?.CodeMappingChanged(entry.Page);
            entry = new CodeEntry { Page = address & ~0xfffUL, Flushes = _codeFlushes, Physical = page, Host = (nint)host };
        }

        return null;
    }

    /// <summary>Translates a data access that does not cross a page, and fills the TLB where the page may be reached directly.</summary>
    /// <param name="region">The mapping that the physical address lies in, or null for nowhere.</param>
    /// <returns>Nothing, or the exception.</returns>
    public TrapCause? TranslateData(ulong address, int size, MemoryAccess access, out ulong physical, out MemoryRegion? region)
    {
        Misses++;
        region = null;
        TrapCause? cause = Translate(address, size, access, DataPrivilege, out physical, out bool cacheable);
        if (cause is not null)
            return cause;
        region = Find(physical);
        if (cacheable && region is { IsMemory: true } && (access == MemoryAccess.Load || region.IsWritable))
        {
            TlbEntry* entry = TlbEntry.At(access == MemoryAccess.Load ? _context->ReadTlb : _context->WriteTlb, address);
            ulong page = physical & ~0xfffUL, tag = address & ~0xfffUL;
            var addend = (nint)((ulong)region.HostAddress + (page - region.Start.Value) - tag);
            // A guest that changes its tables without a fence sees which translations are kept: that has to be the same on every engine.
            if (entry->Tag != TlbEntry.Invalid && (entry->Tag != tag || entry->Addend != addend))
                _engine?.DataMappingChanged(entry->Tag);
            entry->Addend = addend;
            entry->Tag = tag;
            if (_filledCount < _filled.Length)
                _filled[_filledCount] = (nint)entry;
            // One more than fit says that some are not listed; a guest that never flushes must not count on.
            if (_filledCount <= _filled.Length)
                _filledCount++;
        }

        return null;
    }

    public void Dispose()
    {
        _memory.Changed -= OnMapChanged;
        _block.Dispose();
    }

    private TrapCause? Translate(ulong address, int size, MemoryAccess access, PrivilegeMode privilege, out ulong physical, out bool cacheable)
    {
        physical = address;
        cacheable = true;
        int mode = privilege == PrivilegeMode.Machine ? Bare : (int)(_context->State.Satp >> 60);
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
        ref RiscVState state = ref _context->State;
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
                    NoteLargePage(address, offsetMask);
                physical = (pageNumber | address >> 12 & offsetMask) << 12 | address & 0xfff;
                return null;
            }
        }

        return PageFault(access);
    }

    private bool Permits(ulong pte, MemoryAccess access, PrivilegeMode privilege)
    {
        ulong status = _context->State.Mstatus;
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

    /// <summary>Keeps one range that covers every superpage whose pieces are in the TLB: an address inside flushes everything.</summary>
    private void NoteLargePage(ulong address, ulong offsetMask)
    {
        ulong mask = ~(offsetMask << 12 | 0xfff);
        if (_largeBase == TlbEntry.Invalid)
        {
            _largeMask = mask;
        }
        else
        {
            _largeMask &= mask;
            while (((_largeBase ^ address) & _largeMask) != 0)
                _largeMask <<= 1;
        }

        _largeBase = address & _largeMask;
    }

    private void FlushData()
    {
        if (_filledCount > _filled.Length)
            new Span<TlbEntry>(_tables, Modes * 2 * TlbEntry.Count).Fill(new TlbEntry { Tag = TlbEntry.Invalid });
        else
        {
            foreach (nint entry in _filled.AsSpan(0, _filledCount))
                ((TlbEntry*)entry)->Tag = TlbEntry.Invalid;
        }

        _filledCount = 0;
        _largeBase = TlbEntry.Invalid;
        _largeMask = ulong.MaxValue;
        SelectMode();
        _engine?.DataMappingChanged();
    }

    private void OnMapChanged()
    {
        // Only done while no vCPU runs, so the caches are nobody's. What is mapped at an address now may have other bytes than what was.
        _lastRegion = null;
        Flush();
        _engine?.CodeBytesChanged();
    }

    private ref CodeEntry CodeEntryOf(int privilege, ulong address) =>
        ref _code[(privilege == 3 ? 2 : privilege) * CodeEntries + (int)(address >> 12 & (CodeEntries - 1))];

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

    private struct CodeEntry
    {
        public ulong Page;
        public ulong Flushes;
        public ulong Physical;
        public nint Host;
    }
}
