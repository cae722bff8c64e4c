using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator;

/// <summary>What translated code refers to by number.</summary>
/// <param name="codeSize">Bytes of code that there may be.</param>
internal sealed unsafe class CodeRecords(int codeSize) : IDisposable
{
    private const int MaxSitesPerBlock = 2 * IrBlock.MaxInstructions, MaxExitsPerBlock = 8 + IrBlock.MaxInstructions / 2, MaxProbesPerBlock = IrBlock.MaxInstructions;

    /// <summary>Bytes of code for each.</summary>
    private const int CodePerSite = 32, CodePerExit = 48, CodePerProbe = 256;

    public RecordTable<Site> Sites { get; } = new(codeSize / CodePerSite);

    public RecordTable<ExitRecord> Exits { get; } = new(codeSize / CodePerExit);

    public RecordTable<PageProbe> Probes { get; } = new(codeSize / CodePerProbe);

    /// <summary>Whether another block's fit.</summary>
    public bool HaveRoom => Sites.Room >= MaxSitesPerBlock && Exits.Room >= MaxExitsPerBlock && Probes.Room >= MaxProbesPerBlock;

    /// <summary>Bytes in use.</summary>
    public long Size => (long)Sites.Count * sizeof(Site) + (long)Exits.Count * sizeof(ExitRecord) + (long)Probes.Count * sizeof(PageProbe);

    public void Clear()
    {
        Sites.Clear();
        Exits.Clear();
        Probes.Clear();
    }

    public void Dispose()
    {
        Sites.Dispose();
        Exits.Dispose();
        Probes.Dispose();
    }
}
