using System.Runtime.InteropServices;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>Finds translations by virtual address, for one vCPU; a table for each privilege mode.</summary>
internal sealed unsafe class JumpCache : IDisposable
{
    private const int Modes = 3;

    private readonly CodeEntry* _entries = (CodeEntry*)NativeMemory.AlignedAlloc((nuint)(Modes * CodeEntry.Count * sizeof(CodeEntry)), 64);
    private readonly bool[] _used = [true, true, true];

    public JumpCache() => Forget();

    public CodeEntry* TableOf(PrivilegeMode privilege)
    {
        int mode = privilege == PrivilegeMode.Machine ? 2 : (int)privilege;
        _used[mode] = true;
        return _entries + mode * CodeEntry.Count;
    }

    public void Forget()
    {
        for (int mode = 0; mode < Modes; mode++)
        {
            if (_used[mode])
                new Span<CodeEntry>(_entries + mode * CodeEntry.Count, CodeEntry.Count).Fill(new CodeEntry { Pc = CodeEntry.Invalid });
            _used[mode] = false;
        }
    }

    /// <summary>Forgets what begins in a page, or reaches into it.</summary>
    public void Forget(ulong address)
    {
        ulong page = address & ~0xfffUL;
        for (int mode = 0; mode < Modes; mode++)
        {
            if (!_used[mode])
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

    public void Dispose() => NativeMemory.AlignedFree(_entries);
}
