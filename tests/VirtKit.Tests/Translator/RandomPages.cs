using VirtKit.Execution;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;

namespace VirtKit.Tests.Translator;

/// <summary>Page tables under a <see cref="RandomProgram"/>, and their changes: pages that move, lack permissions, bits that a walk sets, or are not there at all.</summary>
internal sealed class RandomPages
{
    public const ulong Tables = RandomProgram.Data + 0x2_0000;
    public const int Size = 0x3000;

    private const ulong Adue = 1UL << 61;
    private const int CodePages = 3, FirstDataPage = (int)(RandomProgram.Data - RandomProgram.Code >> 12), DataPages = RandomProgram.DataSize >> 12;

    private readonly Random _random;
    private readonly ulong[] _entries = new ulong[FirstDataPage + DataPages];

    /// <param name="state">Where the program begins; from then on in S-mode or U-mode.</param>
    public RandomPages(Random random, ref RiscVState state)
    {
        _random = random;
        for (int i = 0; i < CodePages; i++)
            _entries[i] = Entry(i);
        for (int i = 0; i < DataPages; i++)
            _entries[FirstDataPage + i] = Entry(FirstDataPage + i);
        (state.PmpAddress[0], state.PmpConfiguration[0], state.Satp) = (ulong.MaxValue >> 10, 0x1f, 8UL << 60 | Tables >> 12);
        state.Privilege = PrivilegeMode.Supervisor;
        state.Menvcfg = random.Next(2) == 0 ? Adue : 0;
    }

    /// <summary>A table of each level: the program's addresses lie in one of the lowest.</summary>
    public void Write(AddressSpace memory)
    {
        memory.Write(new Gpa(Tables), new byte[Size]);
        Write(memory, Tables + (RandomProgram.Code >> 30) * 8, Tables + 0x1000 >> 2 | PageTables.V);
        Write(memory, Tables + 0x1000, Tables + 0x2000 >> 2 | PageTables.V);
        for (int i = 0; i < _entries.Length; i++)
            Write(memory, AddressOf(i), _entries[i]);
    }

    /// <summary>Changes an entry, or none.</summary>
    public void Change(params ReadOnlySpan<AddressSpace> memories)
    {
        int page = _random.Next(4) == 0 ? _random.Next(CodePages) : FirstDataPage + _random.Next(DataPages);
        ulong entry = Entry(page);
        if (_random.Next(3) == 0)
            return;
        foreach (AddressSpace memory in memories)
            Write(memory, AddressOf(page), entry);
    }

    private static ulong AddressOf(int page) => Tables + 0x2000 + (ulong)page * 8;

    private static void Write(AddressSpace memory, ulong address, ulong value) => Assert.True(memory.TryWrite(new Gpa(address), value));

    private ulong Entry(int page)
    {
        ulong target = page < CodePages ? (ulong)(_random.Next(6) == 0 ? _random.Next(CodePages) : page) : (ulong)(FirstDataPage + _random.Next(DataPages));
        ulong flags = PageTables.All & ~(_random.Next(8) switch
        {
            0 => PageTables.W,
            1 => PageTables.A,
            2 => PageTables.D,
            3 when page >= CodePages && _random.Next(3) == 0 => PageTables.V,
            _ => 0UL,
        });
        // Data that is executed is code that changes without a fence.i, which shows when an engine likes.
        if (page >= CodePages)
            flags &= ~PageTables.X;
        return (RandomProgram.Code >> 12) + target << 10 | flags;
    }
}
