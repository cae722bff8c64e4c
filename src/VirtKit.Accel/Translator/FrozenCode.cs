using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>Translations that are not patched any more, neither their links nor their probes. They contain no address of a machine, so that every machine with the same code at the same guest addresses can
/// execute them; a machine's own translations are in a layer above.</summary>
/// <param name="set">The guest's instructions.</param>
/// <param name="layer">The translations, which go over to this.</param>
/// <param name="below">Earlier ones, whose hold goes over; <see langword="null"/> for none.</param>
internal sealed unsafe class FrozenCode(GuestInstructions set, CodeLayer layer, FrozenCode? below) : SharedCode
{
    /// <summary>How many layers lie on one another.</summary>
    public int Depth { get; } = 1 + (below?.Depth ?? 0);

    /// <summary>What the translations refer to.</summary>
    public CodeRecords Records => layer.Records;

    /// <summary>Whether a machine with these instructions can run them.</summary>
    public bool Fits(GuestInstructions instructions) => ReferenceEquals(set, instructions);

    /// <summary>Finds a translation.</summary>
    /// <param name="location">The page of code.</param>
    /// <param name="pc">Its virtual address.</param>
    /// <param name="oneOff">Whether accesses may share nothing.</param>
    /// <returns>The code, or null where there is none of these bytes.</returns>
    public byte* Find(in CodeLocation location, ulong pc, bool oneOff)
    {
        int offset = (int)(pc & 0xfff);
        // A block whose instruction may cross into the next page depends on that page's bytes too.
        if (offset > 0x1000 - set.MaxLength)
            return null;
        int block = layer.Pages.Peek(location.Page, pc & ~0xfffUL) is { } page && page.Has(location.Host) ? page.PeekBlock(offset, oneOff) : 0;
        return block != 0 ? layer.Memory.Executable + block : below is null ? null : below.Find(location, pc, oneOff);
    }

    protected override void Discard()
    {
        layer.Dispose();
        below?.Release();
    }
}
