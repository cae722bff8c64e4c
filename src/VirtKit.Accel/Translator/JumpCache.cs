using VirtKit.Execution;
using VirtKit.Memory;

namespace VirtKit.Accel.Translator;

/// <summary>Finds translations by virtual address, for one vCPU in one address space; a table for each code mode. Memory is committed as it is filled.</summary>
/// <remarks>The entries of a page are listed, so that forgetting a page costs what was filled of it, and forgetting all costs what was filled at all.</remarks>
internal sealed unsafe class JumpCache : IDisposable
{
    private const int PageSlots = 2048, MaxNodes = 16384;

    private readonly int _modes;

    /// <summary>How far an instruction reaches behind its first byte, at most.</summary>
    private readonly ulong _reach;

    // Zeroes are invalid entries: of all addresses only 0 has the entry 0.
    private readonly NativeBlock _entryBlock;
    private readonly NativeBlock _nodeBlock = NativeBlock.LazilyZeroed((MaxNodes + 1) * sizeof(Node));
    private readonly CodeEntry* _entries;
    private readonly Node* _nodes;

    /// <summary>For each mode and the low bits of a page's number, the first node of the entries of such pages; 0 for none.</summary>
    private readonly NativeBlock _firstBlock;
    private readonly int* _first;

    /// <summary>The nodes handed out since everything was forgotten; they count from 1. Those given back are chained behind <see cref="_free"/>.</summary>
    private int _count, _free;

    public JumpCache(GuestSystem system)
    {
        int modes = _modes = system.CodeModes;
        _reach = (ulong)system.Instructions.MaxLength - 1;
        _entryBlock = NativeBlock.LazilyZeroed(modes * CodeEntry.Count * sizeof(CodeEntry));
        _firstBlock = NativeBlock.LazilyZeroed(modes * PageSlots * sizeof(int));
        _entries = (CodeEntry*)_entryBlock.Pointer;
        _nodes = (Node*)_nodeBlock.Pointer;
        _first = (int*)_firstBlock.Pointer;
        for (int mode = 0; mode < _modes; mode++)
            _entries[mode * CodeEntry.Count].Pc = CodeEntry.InvalidAt(0);
    }

    public CodeEntry* TableOf(int mode) => _entries + mode * CodeEntry.Count;

    /// <summary>Fills an entry of a table.</summary>
    public void Fill(CodeEntry* entry, ulong pc, byte* code)
    {
        // An instruction at a page's end may reach into the next: it is listed for both.
        bool atEnd = (pc & 0xfff) + _reach > 0xfff;
        if (_count > MaxNodes - 2 && (_free == 0 || _nodes[_free].Next == 0))
            Forget();
        entry->Pc = pc;
        entry->Code = code;
        int number = (int)(entry - _entries);
        List(number, pc);
        if (atEnd)
            List(number, pc + _reach);
    }

    /// <summary>Forgets everything.</summary>
    public void Forget()
    {
        if (_count == 0)
            return;
        for (int node = 1; node <= _count; node++)
            _entries[_nodes[node].Entry].Pc = CodeEntry.InvalidAt(_nodes[node].Entry);
        new Span<int>(_first, _modes * PageSlots).Clear();
        _count = _free = 0;
    }

    /// <summary>Forgets what begins in a page, or reaches into it.</summary>
    public void Forget(ulong address)
    {
        ulong page = address & ~0xfffUL;
        for (int mode = 0; mode < _modes; mode++)
        {
            ref int link = ref FirstOf(mode, page);
            while (link != 0)
            {
                int number = link;
                ref Node node = ref _nodes[number];
                ref CodeEntry entry = ref _entries[node.Entry];
                bool isOfPage = (entry.Pc & ~0xfffUL) == page || page - entry.Pc <= _reach;
                if (isOfPage)
                    entry.Pc = CodeEntry.InvalidAt(node.Entry);
                // Nodes of entries that another address has taken are given back too.
                if (isOfPage || !IsOfSlot(entry.Pc, page))
                {
                    link = node.Next;
                    node.Next = _free;
                    _free = number;
                }
                else
                {
                    link = ref node.Next;
                }
            }
        }
    }

    public void Dispose()
    {
        _entryBlock.Dispose();
        _nodeBlock.Dispose();
        _firstBlock.Dispose();
    }

    private void List(int entry, ulong address)
    {
        int number = _free;
        if (number != 0)
            _free = _nodes[number].Next;
        else
            number = ++_count;
        ref int first = ref FirstOf(entry / CodeEntry.Count, address);
        _nodes[number] = new Node { Entry = entry, Next = first };
        first = number;
    }

    private bool IsOfSlot(ulong pc, ulong page) => SlotOf(pc) == SlotOf(page) || SlotOf(pc + _reach) == SlotOf(page);

    private static int SlotOf(ulong address) => (int)(address >> 12 & (PageSlots - 1));

    private ref int FirstOf(int mode, ulong address) => ref _first[mode * PageSlots + SlotOf(address)];

    private struct Node
    {
        public int Entry, Next;
    }
}
