using VirtKit.Memory;

namespace VirtKit.Execution;

/// <summary>The software TLBs of one address space: for data a table for loads and one for stores in each data mode, for code one in each code mode, as the ISA numbers
/// them. A flush costs what was filled, and memory is committed as it is filled.</summary>
internal sealed unsafe partial class Tlb : IDisposable
{
    private const int CodeSets = 256, CodeWays = 4, FirstCapacity = 64, MaxFilled = 4096;

    // Zeroes are invalid entries: of all pages only page 0 has the tag 0, and it is looked for in the first entry of a table alone, or, by accesses that begin below the
    // page, in the last.
    private readonly NativeBlock _block;
    private readonly TlbEntry* _tables;
    private readonly CodeTable?[] _code;
    private readonly int _tableCount;

    /// <summary>The data entries that were filled since the last flush; behind <see cref="MaxFilled"/> of them a flush clears everything.</summary>
    private nint[] _filled = new nint[FirstCapacity];
    private int _filledCount;

    /// <summary>Code entries of other flushes are invalid.</summary>
    private ulong _codeFlushes = 1;
    private LargePages _lower, _upper;

    /// <param name="dataModes">How many data modes there are: sets of accesses that share their permissions.</param>
    /// <param name="codeModes">How many code modes there are.</param>
    public Tlb(int dataModes, int codeModes)
    {
        _tableCount = dataModes * 2;
        _code = new CodeTable?[codeModes];
        _block = NativeBlock.LazilyZeroed(_tableCount * TlbEntry.Count * sizeof(TlbEntry));
        _tables = (TlbEntry*)_block.Pointer;
        InvalidateEnds();
        _lower.Clear();
        _upper.Clear();
    }

    /// <summary>What the ISA knows the address space by.</summary>
    public ulong Space { get; set; }

    /// <summary>When the address space was last switched to, counted in switches.</summary>
    public ulong LastUsed { get; set; }

    /// <summary>The table for loads; that for stores stands behind it.</summary>
    public TlbEntry* ReadTable(int dataMode) => _tables + dataMode * 2 * TlbEntry.Count;

    /// <summary>Lists an entry of a table of this address space that has been filled.</summary>
    public void Filled(TlbEntry* entry)
    {
        if (_filledCount == _filled.Length && _filledCount < MaxFilled)
            Array.Resize(ref _filled, 2 * _filledCount);
        if (_filledCount < _filled.Length)
            _filled[_filledCount] = (nint)entry;
        // A count of MaxFilled + 1 says that some are not listed. It stops there, so that a guest that never flushes cannot overflow it.
        if (_filledCount <= MaxFilled)
            _filledCount++;
    }

    /// <summary>A piece of a superpage, or of a NAPOT range, is about to be filled.</summary>
    /// <param name="pages">The pages of the whole, less one.</param>
    public void NoteLargePage(ulong address, ulong pages) => LargePagesOf(address).Add(address, pages);

    /// <summary>Whether an address may lie in a superpage whose pieces are here: their other pieces are not found by it.</summary>
    public bool MayBeLarge(ulong address) => LargePagesOf(address).Contains(address);

    /// <summary>The translation of the page of an instruction's address, if it is here.</summary>
    public bool TryFindCode(int mode, ulong address, out ulong physical, out byte* host)
    {
        if (_code[mode] is { } table)
        {
            ulong page = address & ~0xfffUL;
            foreach (ref CodeEntry entry in table.SetOf(address))
            {
                if (entry.Page == page && entry.Flushes == _codeFlushes)
                {
                    physical = entry.Physical;
                    host = (byte*)entry.Host;
                    return true;
                }
            }
        }

        physical = 0;
        host = null;
        return false;
    }

    /// <summary>Keeps the translation of a code page that is not here. The oldest of its set makes room: which those are follows from the misses alone, which are the same
    /// on every engine.</summary>
    /// <returns>The page whose translation made room, or <see cref="TlbEntry.Invalid"/>.</returns>
    public ulong AddCode(int mode, ulong address, ulong physical, byte* host)
    {
        CodeTable table = _code[mode] ??= new CodeTable();
        ref CodeEntry entry = ref table.Oldest(address);
        ulong replaced = entry.Flushes == _codeFlushes ? entry.Page : TlbEntry.Invalid;
        entry = new CodeEntry { Page = address & ~0xfffUL, Flushes = _codeFlushes, Physical = physical, Host = (nint)host };
        return replaced;
    }

    /// <summary>Forgets every translation.</summary>
    public void Flush()
    {
        if (_filledCount > MaxFilled)
        {
            new Span<TlbEntry>(_tables, _tableCount * TlbEntry.Count).Clear();
            InvalidateEnds();
        }
        else
        {
            foreach (nint entry in _filled.AsSpan(0, _filledCount))
                ((TlbEntry*)entry)->Tag = TlbEntry.Invalid;
        }

        _filledCount = 0;
        _codeFlushes++;
        FlushDevices();
        _lower.Clear();
        _upper.Clear();
    }

    /// <summary>Forgets the translations of stores.</summary>
    public void FlushStores()
    {
        if (_filledCount > MaxFilled)
        {
            Flush();
            return;
        }

        foreach (nint entry in _filled.AsSpan(0, _filledCount))
        {
            if ((((TlbEntry*)entry - _tables) / TlbEntry.Count & 1) != 0)
                ((TlbEntry*)entry)->Tag = TlbEntry.Invalid;
        }
    }

    /// <summary>Forgets the translations of one page.</summary>
    /// <returns>Whether there was one of code.</returns>
    public bool Flush(ulong address)
    {
        ulong page = address & ~0xfffUL;
        for (int table = 0; table < _tableCount; table++)
        {
            TlbEntry* entry = TlbEntry.At(_tables + table * TlbEntry.Count, address);
            if (entry->Tag == page)
                entry->Tag = TlbEntry.Invalid;
        }

        FlushDevices(page);
        bool hadCode = false;
        foreach (CodeTable? table in _code)
        {
            if (table is null)
                continue;
            foreach (ref CodeEntry entry in table.SetOf(address))
            {
                if (entry.Page != page || entry.Flushes != _codeFlushes)
                    continue;
                entry.Flushes = 0;
                hadCode = true;
            }
        }

        return hadCode;
    }

    public void Dispose() => _block.Dispose();

    // The lower half is a program's and the upper its kernel's; each half has a range of its own, so that a superpage of one does not flush the other.
    private ref LargePages LargePagesOf(ulong address) => ref (long)address < 0 ? ref _upper : ref _lower;

    private void InvalidateEnds()
    {
        for (int table = 0; table < _tableCount; table++)
            _tables[table * TlbEntry.Count].Tag = _tables[(table + 1) * TlbEntry.Count - 1].Tag = TlbEntry.Invalid;
    }

    /// <summary>One range that covers every superpage whose pieces were filled since the last flush.</summary>
    private struct LargePages
    {
        private ulong _base, _mask;

        public void Clear()
        {
            _base = TlbEntry.Invalid;
            _mask = ulong.MaxValue;
        }

        public readonly bool Contains(ulong address) => (address & _mask) == _base;

        public void Add(ulong address, ulong pages)
        {
            ulong mask = ~(pages << 12 | 0xfff);
            if (_base == TlbEntry.Invalid)
            {
                _mask = mask;
            }
            else
            {
                _mask &= mask;
                while (((_base ^ address) & _mask) != 0)
                    _mask <<= 1;
            }

            _base = address & _mask;
        }
    }

    private struct CodeEntry
    {
        public ulong Page;
        public ulong Flushes;
        public ulong Physical;
        public nint Host;
    }

    private sealed class CodeTable
    {
        private readonly CodeEntry[] _entries = new CodeEntry[CodeSets * CodeWays];
        private readonly byte[] _oldest = new byte[CodeSets];

        public Span<CodeEntry> SetOf(ulong address) => _entries.AsSpan(SetNumber(address) * CodeWays, CodeWays);

        public ref CodeEntry Oldest(ulong address)
        {
            ref byte way = ref _oldest[SetNumber(address)];
            ref CodeEntry entry = ref SetOf(address)[way];
            way = (byte)((way + 1) % CodeWays);
            return ref entry;
        }

        private static int SetNumber(ulong address) => (int)(address >> 12 & (CodeSets - 1));
    }
}
