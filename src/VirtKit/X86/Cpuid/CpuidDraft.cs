namespace VirtKit.X86;

/// <summary>A CPUID table in the making: the host's answers, changed by one rule after the other, with the reason of each change.</summary>
internal sealed class CpuidDraft
{
    private readonly SortedDictionary<(uint Leaf, uint Subleaf), CpuidEntry> _entries = [];
    private readonly Dictionary<(uint Leaf, uint Subleaf), CpuidEntry> _host = [];
    private readonly Dictionary<(uint Leaf, uint Subleaf, CpuidRegister Register, int Bit), string> _reasons = [];
    private readonly HashSet<string> _promised = [];
    private readonly HashSet<(uint Leaf, uint? Subleaf)> _decided = [];
    private readonly List<string> _problems = [];

    public CpuidDraft(IReadOnlyList<CpuidEntry> host, int vcpu)
    {
        Vcpu = vcpu;
        foreach (CpuidEntry entry in host)
            _host[(entry.Leaf, entry.Subleaf)] = _entries[(entry.Leaf, entry.Subleaf)] = entry;
        SetRegister(1, 0, CpuidRegister.Ebx, (this[1, 0].Ebx & 0x00ff_ffff) | ((uint)vcpu << 24), "APIC ID");
        CpuidDependencies.HideIncomplete(this);
    }

    public int Vcpu { get; }

    /// <summary>The topology that was applied last.</summary>
    public CpuidTopology Topology { get; set; } = new(1);

    public IEnumerable<CpuidEntry> Entries => _entries.Values;

    public CpuidResult this[uint leaf, uint subleaf] => _entries.TryGetValue((leaf, subleaf), out CpuidEntry entry) ? entry.Answer : default;

    public CpuidResult HostAnswer(uint leaf, uint subleaf) => _host.TryGetValue((leaf, subleaf), out CpuidEntry entry) ? entry.Answer : default;

    /// <summary>Whether the vendor is AMD or Hygon, whose leaves from 0x80000000 on say more than Intel's.</summary>
    public bool IsAmd => this[0, 0].Ebx is CpuidTable.AuthenticAmd or CpuidTable.HygonGenuine;

    public void Refuse(string problem) => _problems.Add(problem);

    /// <summary>Notes that the host application itself says what a row answers, or that a leaf is hidden: nothing is derived there.</summary>
    /// <param name="leaf">The leaf.</param>
    /// <param name="subleaf">The subleaf, or <see langword="null"/> for all of them.</param>
    public void Decide(uint leaf, uint? subleaf) => _decided.Add((leaf, subleaf));

    public bool IsDecided(uint leaf, uint subleaf) => _decided.Contains((leaf, null)) || _decided.Contains((leaf, subleaf));

    public bool IsPromised(string feature) => _promised.Contains(feature);

    public bool Has(string feature) => Has(CpuidFeature.Named(feature));

    /// <summary>Sets a row that follows from others, unless the host application has decided it.</summary>
    public void Derive(uint leaf, uint? subleaf, CpuidResult answer, string reason)
    {
        if (!IsDecided(leaf, subleaf ?? 0) && (answer != default || _entries.ContainsKey((leaf, subleaf ?? 0))))
            SetEntry(leaf, subleaf, answer, reason);
    }

    public void SetEntry(uint leaf, uint? subleaf, CpuidResult answer, string reason)
    {
        foreach (CpuidRegister register in Enum.GetValues<CpuidRegister>())
            NoteReasons(leaf, subleaf ?? 0, register, this[leaf, subleaf ?? 0][register] ^ answer[register], reason);
        _entries[(leaf, subleaf ?? 0)] = new CpuidEntry(leaf, subleaf ?? 0, subleaf is not null, answer);
    }

    public void SetRegister(uint leaf, uint subleaf, CpuidRegister register, uint value, string reason)
    {
        if (!_entries.TryGetValue((leaf, subleaf), out CpuidEntry entry))
        {
            if (value == 0)
                return;
            entry = new CpuidEntry(leaf, subleaf, CpuidEntry.IsIndexed(leaf), default);
        }

        NoteReasons(leaf, subleaf, register, entry.Answer[register] ^ value, reason);
        _entries[(leaf, subleaf)] = entry with { Answer = entry.Answer.With(register, value) };
    }

    public void SetFeature(string name, bool on, string reason)
    {
        CpuidFeature f = CpuidFeature.Named(name);
        uint old = this[f.Leaf, f.Subleaf][f.Register], bit = 1u << f.Bit;
        SetRegister(f.Leaf, f.Subleaf, f.Register, on ? old | bit : old & ~bit, reason);
        // "ht", "cmp_legacy" and "hypervisor" describe the machine, not the processor: the host need not have them.
        if (on && name is not ("ht" or "cmp_legacy" or "hypervisor"))
            _promised.Add(name);
        else
            _promised.Remove(name);
    }

    public void RemoveLeaves(uint first, uint last, string reason)
    {
        foreach ((uint leaf, uint subleaf) in _entries.Keys.Where(k => k.Leaf >= first && k.Leaf <= last).ToArray())
            RemoveRow(leaf, subleaf, reason);
    }

    public void RemoveRow(uint leaf, uint subleaf, string reason)
    {
        foreach (CpuidRegister register in Enum.GetValues<CpuidRegister>())
            NoteReasons(leaf, subleaf, register, this[leaf, subleaf][register], reason);
        _entries.Remove((leaf, subleaf));
    }

    /// <summary>Derives what follows from the features, checks the set and freezes it.</summary>
    /// <exception cref="VirtKitException">The set cannot be.</exception>
    public CpuidTable Finish()
    {
        // The engine sets these as the guest sets CR4.
        ClearDynamic("osxsave");
        ClearDynamic("ospke");
        CpuidDependencies.Derive(this);
        CpuidXsaveLeaf.Derive(this);
        Topology.Derive(this);
        if (Vcpu > 254 && !Has("x2apic"))
            _problems.Add($"vCPU {Vcpu} needs x2apic: without it APIC IDs end at 254");
        foreach (CpuidFeature f in CpuidFeature.All.Where(Has))
        {
            // The hypervisor's range is the host application's, whose bits need not be features: there only names count.
            uint range = f.Leaf & 0xf000_0000, last = this[range, 0].Eax;
            if (f.Leaf > Math.Max(last, range) && (!CpuidHypervisor.IsLeaf(f.Leaf) || _promised.Contains(f.Name)))
                _problems.Add($"{f.Name} is in leaf 0x{f.Leaf:x}, and the last that is shown there is 0x{last:x}");
            foreach (string needed in f.Needed.Where(n => !Has(n)))
                _problems.Add($"{f.Name} needs {needed}, which is hidden or missing");
            if (_promised.Contains(f.Name) && ((HostAnswer(f.Leaf, f.Subleaf)[f.Register] >> f.Bit) & 1) == 0)
                _problems.Add($"{f.Name} is not offered by the host");
        }

        CpuidDependencies.DropUnreachable(this);
        if (_problems.Count > 0)
            throw new VirtKitException($"The CPUID policy cannot be carried out: {string.Join("; ", _problems)}.");
        CpuidEntry[] entries = [.. _entries.Values];
        return new CpuidTable(entries, [.. CompareWithHost()]);
    }

    private bool Has(CpuidFeature f) => ((this[f.Leaf, f.Subleaf][f.Register] >> f.Bit) & 1) != 0;

    private void ClearDynamic(string name)
    {
        CpuidFeature f = CpuidFeature.Named(name);
        SetRegister(f.Leaf, f.Subleaf, f.Register, this[f.Leaf, f.Subleaf][f.Register] & ~(1u << f.Bit), "follows CR4");
    }

    private IEnumerable<CpuidAuditLine> CompareWithHost() =>
        from leaf in _host.Keys.Union(_entries.Keys).Order()
        from register in Enum.GetValues<CpuidRegister>()
        from line in CpuidAuditLine.Compare(leaf.Leaf, leaf.Subleaf, register, HostAnswer(leaf.Leaf, leaf.Subleaf)[register], this[leaf.Leaf, leaf.Subleaf][register],
            changed => ReasonOf(leaf.Leaf, leaf.Subleaf, register, changed))
        select line;

    private string ReasonOf(uint leaf, uint subleaf, CpuidRegister register, uint changed) =>
        string.Join(", ", Enumerable.Range(0, 32).Where(b => ((changed >> b) & 1) != 0).Select(b => _reasons[(leaf, subleaf, register, b)]).Distinct());

    private void NoteReasons(uint leaf, uint subleaf, CpuidRegister register, uint changed, string reason)
    {
        for (int bit = 0; bit < 32; bit++)
        {
            if (((changed >> bit) & 1) != 0)
                _reasons[(leaf, subleaf, register, bit)] = reason;
        }
    }
}
