using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>Finds translations by virtual address, for one vCPU; a table for each privilege mode.</summary>
internal sealed unsafe class JumpCache : IDisposable
{
    private const int Modes = 3, PageSlots = 4096;

    private readonly NativeBlock _block = new(Modes * CodeEntry.Count * sizeof(CodeEntry));
    private readonly CodeEntry* _entries;

    /// <summary>The entries that were filled since everything was forgotten, so that forgetting costs what was filled; past the end all are cleared.</summary>
    private readonly nint[] _filled = new nint[8192];
    private int _filledCount = int.MaxValue;

    /// <summary>For each mode and the low bits of a page's number, whether entries of such a page may be there.</summary>
    private readonly bool[] _pages = new bool[Modes * PageSlots];

    public JumpCache()
    {
        _entries = (CodeEntry*)_block.Pointer;
        Forget();
    }

    public CodeEntry* TableOf(PrivilegeMode privilege) => _entries + (privilege == PrivilegeMode.Machine ? 2 : (int)privilege) * CodeEntry.Count;

    /// <summary>An entry has been filled.</summary>
    public void Filled(CodeEntry* entry)
    {
        int mode = (int)((entry - _entries) / CodeEntry.Count);
        PageOf(mode, entry->Pc) = true;
        // An instruction at a page's end may reach into the next.
        PageOf(mode, entry->Pc + 2) = true;
        if (_filledCount < _filled.Length)
            _filled[_filledCount] = (nint)entry;
        if (_filledCount < int.MaxValue)
            _filledCount++;
    }

    public void Forget()
    {
        if (_filledCount > _filled.Length)
        {
            new Span<CodeEntry>(_entries, Modes * CodeEntry.Count).Fill(new CodeEntry { Pc = CodeEntry.Invalid });
        }
        else
        {
            foreach (nint entry in _filled.AsSpan(0, _filledCount))
                ((CodeEntry*)entry)->Pc = CodeEntry.Invalid;
        }

        _filledCount = 0;
        Array.Clear(_pages);
    }

    /// <summary>Forgets what begins in a page, or reaches into it.</summary>
    public void Forget(ulong address)
    {
        ulong page = address & ~0xfffUL;
        for (int mode = 0; mode < Modes; mode++)
        {
            if (!PageOf(mode, page))
                continue;
            CodeEntry* table = _entries + mode * CodeEntry.Count;
            // The 2048 possible addresses of a page stand in a row.
            foreach (ref CodeEntry entry in new Span<CodeEntry>((byte*)table + CodeEntry.OffsetOf(page), 2048))
            {
                if ((entry.Pc & ~0xfffUL) == page)
                    entry.Pc = CodeEntry.Invalid;
            }

            var crossing = (CodeEntry*)((byte*)table + CodeEntry.OffsetOf(page - 2));
            if (crossing->Pc == page - 2)
                crossing->Pc = CodeEntry.Invalid;
        }
    }

    private ref bool PageOf(int mode, ulong address) => ref _pages[mode * PageSlots + (int)(address >> 12 & (PageSlots - 1))];

    public void Dispose() => _block.Dispose();
}
