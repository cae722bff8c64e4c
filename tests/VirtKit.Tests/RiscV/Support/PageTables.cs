namespace VirtKit.Tests.RiscV.Support;

/// <summary>Page tables that a test builds in guest memory (RV-Priv §12.3-12.6).</summary>
internal sealed class PageTables
{
    public const ulong V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128, N = 1UL << 63, All = V | R | W | X | A | D;

    private readonly BareMachine _machine;
    private readonly int _levels;
    private ulong _next;

    /// <param name="levels">3 for Sv39, 4 for Sv48, 5 for Sv57.</param>
    /// <param name="root">Where the first table is; the others follow it.</param>
    public PageTables(BareMachine machine, int levels, ulong root = BareMachine.Ram + 0x20_0000)
    {
        (_machine, _levels, Root) = (machine, levels, root);
        _next = Root + 0x1000;
    }

    public ulong Root { get; }

    public ulong Satp => (ulong)(8 + _levels - 3) << 60 | Root >> 12;

    /// <summary>Maps a page of a level: 0 is 4 KiB, 1 is 2 MiB.</summary>
    /// <returns>The address of the entry.</returns>
    public ulong Map(ulong virtualAddress, ulong physical, ulong flags, int level = 0)
    {
        ulong table = Root;
        for (int i = _levels - 1; i > level; i--)
        {
            ulong entry = table + (virtualAddress >> (12 + 9 * i) & 511) * 8;
            if (_machine.Read(entry) == 0)
            {
                _machine.Write(entry, _next >> 12 << 10 | V);
                _next += 0x1000;
            }

            table = _machine.Read(entry) >> 10 << 12;
        }

        ulong leaf = table + (virtualAddress >> (12 + 9 * level) & 511) * 8;
        _machine.Write(leaf, physical >> 12 << 10 | flags);
        return leaf;
    }
}
