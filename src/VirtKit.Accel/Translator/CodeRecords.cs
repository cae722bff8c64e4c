using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator;

/// <summary>The records to which translated code refers by number.</summary>
/// <param name="codeSize">Bytes of code that there may be.</param>
/// <param name="before">The records of frozen code, behind which these are numbered; <see langword="null"/> for none.</param>
internal sealed unsafe class CodeRecords(int codeSize, CodeRecords? before = null) : IDisposable
{
    private const int MaxSitesPerBlock = 2 * IrBlock.MaxInstructions, MaxExitsPerBlock = 8 + IrBlock.MaxInstructions / 2, MaxProbesPerBlock = IrBlock.MaxInstructions;

    /// <summary>Bytes of code for each.</summary>
    private const int CodePerSite = 32, CodePerExit = 48, CodePerProbe = 256;

    public RecordTable<Site> Sites { get; } = new(codeSize / CodePerSite, before?.Sites);

    public RecordTable<ExitRecord> Exits { get; } = new(codeSize / CodePerExit, before?.Exits);

    public RecordTable<PageProbe> Probes { get; } = new(codeSize / CodePerProbe, before?.Probes);

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
