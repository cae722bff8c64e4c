using System.Globalization;
using System.Text;

namespace VirtKit.X86;

/// <summary>What CPUID answers on one vCPU, with the reason of everything that is not the host's own answer. Immutable.</summary>
public sealed class CpuidTable
{
    /// <summary>The first four letters of the vendor strings whose leaves are AMD's: EBX of leaf 0.</summary>
    internal const uint AuthenticAmd = 0x6874_7541, HygonGenuine = 0x6f67_7948;

    private readonly CpuidEntry[] _entries;

    internal CpuidTable(CpuidEntry[] entries, CpuidAuditLine[] audit)
    {
        _entries = entries;
        Audit = audit;
    }

    /// <summary>The rows in ascending order of leaf and subleaf.</summary>
    public IReadOnlyList<CpuidEntry> Entries => _entries;

    /// <summary>One line for each bit or number that differs from the host's.</summary>
    public IReadOnlyList<CpuidAuditLine> Audit { get; }

    /// <summary>The table that an engine carries out in truth, where it cannot keep to this one: each difference is a line more in the audit.</summary>
    /// <param name="actual">The rows that the engine answers from.</param>
    /// <param name="reason">Why they differ, for people.</param>
    /// <returns>This table where nothing differs.</returns>
    public CpuidTable Corrected(IReadOnlyList<CpuidEntry> actual, string reason)
    {
        ArgumentNullException.ThrowIfNull(actual);
        Dictionary<(uint, uint), CpuidResult> truth = actual.ToDictionary(e => (e.Leaf, e.Subleaf), e => e.Answer);
        var lines = new List<CpuidAuditLine>();
        foreach (CpuidEntry entry in _entries)
        {
            CpuidResult answer = truth.GetValueOrDefault((entry.Leaf, entry.Subleaf));
            foreach (CpuidRegister register in Enum.GetValues<CpuidRegister>())
                lines.AddRange(CpuidAuditLine.Compare(entry.Leaf, entry.Subleaf, register, entry.Answer[register], answer[register], _ => reason));
        }

        return lines.Count == 0 ? this : new CpuidTable([.. actual], [.. Audit, .. lines]);
    }

    /// <summary>This table with an audit that also names what the engine itself kept from the policy: a line for each bit that it could have offered and did not.</summary>
    /// <param name="capable">All that the host can answer.</param>
    /// <param name="offered">What the policy started from.</param>
    /// <param name="reason">Why the rest was withheld, for people.</param>
    public CpuidTable WithWithheld(IReadOnlyList<CpuidEntry> capable, IReadOnlyList<CpuidEntry> offered, string reason)
    {
        ArgumentNullException.ThrowIfNull(capable);
        ArgumentNullException.ThrowIfNull(offered);
        Dictionary<(uint, uint), CpuidResult> rest = offered.ToDictionary(e => (e.Leaf, e.Subleaf), e => e.Answer);
        CpuidAuditLine[] lines = [.. capable.SelectMany(entry => Enum.GetValues<CpuidRegister>().SelectMany(register => CpuidAuditLine.Compare(entry.Leaf, entry.Subleaf, register,
            entry.Answer[register], rest.GetValueOrDefault((entry.Leaf, entry.Subleaf))[register], _ => reason)))];
        return lines.Length == 0 ? this : new CpuidTable(_entries, [.. lines, .. Audit]);
    }

    /// <summary>The answer to one CPUID instruction. A leaf inside its range that the table lacks answers zeros; one past the end of its range does so, too, with
    /// AMD's vendor strings, and with all others answers as the last basic leaf (SDM 2A, CPUID; APM 3, appendix E).</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    public CpuidResult Lookup(uint leaf, uint subleaf)
    {
        if (TryFind(leaf, subleaf, out CpuidResult answer) || !TryFind(0, 0, out CpuidResult basic))
            return answer;
        uint range = leaf is >= 0x4000_0000 and <= 0x4fff_ffff ? leaf & 0xffff_ff00 : leaf & 0x8000_0000;
        bool inside = TryFind(range, 0, out CpuidResult head) && leaf <= head.Eax;
        if (!inside && !IsAmd)
            TryFind(basic.Eax, subleaf, out answer);
        return answer;
    }

    private bool TryFind(uint leaf, uint subleaf, out CpuidResult answer)
    {
        foreach (CpuidEntry entry in _entries)
        {
            if (entry.Leaf == leaf && (!entry.HasSubleaves || entry.Subleaf == subleaf))
            {
                answer = entry.Answer;
                return true;
            }
        }

        answer = default;
        return false;
    }

    /// <summary>Whether the vendor is AMD or Hygon.</summary>
    internal bool IsAmd => TryFind(0, 0, out CpuidResult basic) && basic.Ebx is (AuthenticAmd or HygonGenuine);

    /// <summary>Whether a leaf is in the table.</summary>
    internal bool HasLeaf(uint leaf) => TryFind(leaf, 0, out _);

    /// <summary>Whether a feature is shown.</summary>
    /// <exception cref="ArgumentException">No feature is called so.</exception>
    public bool Has(string feature)
    {
        CpuidFeature f = CpuidFeature.Named(feature);
        // Not Lookup: what a processor answers behind its last leaf are another leaf's numbers.
        return TryFind(f.Leaf, f.Subleaf, out CpuidResult answer) && ((answer[f.Register] >> f.Bit) & 1) != 0;
    }

    /// <summary>The audit as text, a line each.</summary>
    public string FormatAudit()
    {
        var text = new StringBuilder();
        foreach (CpuidAuditLine line in Audit)
            text.Append(line).Append('\n');
        return text.ToString();
    }
}

/// <summary>One difference between the host's CPUID and the guest's.</summary>
/// <param name="Leaf">The leaf.</param>
/// <param name="Subleaf">The subleaf.</param>
/// <param name="Register">The register.</param>
/// <param name="Bit">The bit where the register is a set of features; <see langword="null"/> where it is a number.</param>
/// <param name="Feature">The feature's name, or an empty string.</param>
/// <param name="Host">The host's bit or number.</param>
/// <param name="Guest">The guest's bit or number.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record CpuidAuditLine(uint Leaf, uint Subleaf, CpuidRegister Register, int? Bit, string Feature, uint Host, uint Guest, string Reason)
{
    /// <summary>The differences of one register: a line a bit where it is a set of features, one line where it is a number.</summary>
    internal static IEnumerable<CpuidAuditLine> Compare(uint leaf, uint subleaf, CpuidRegister register, uint host, uint guest, Func<uint, string> reasonOf)
    {
        uint changed = host ^ guest;
        if (changed == 0)
            yield break;
        if (!CpuidFeature.IsFeatureRegister(leaf, subleaf, register))
        {
            yield return new CpuidAuditLine(leaf, subleaf, register, null, "", host, guest, reasonOf(changed));
            yield break;
        }

        for (int bit = 0; bit < 32; bit++)
        {
            uint mask = 1u << bit;
            if ((changed & mask) != 0)
                yield return new CpuidAuditLine(leaf, subleaf, register, bit, CpuidFeature.At(leaf, subleaf, register, bit)?.Name ?? "", (host & mask) >> bit, (guest & mask) >> bit, reasonOf(mask));
        }
    }

    /// <summary>The line in one row of text.</summary>
    public override string ToString()
    {
        string register = Register.ToString().ToLowerInvariant();
        return Bit is { } bit
            ? string.Create(CultureInfo.InvariantCulture, $"{Leaf:x8}.{Subleaf:x} {register}[{bit}] {(Feature.Length == 0 ? "-" : Feature)}: {Host} -> {Guest} ({Reason})")
            : string.Create(CultureInfo.InvariantCulture, $"{Leaf:x8}.{Subleaf:x} {register}: {Host:x8} -> {Guest:x8} ({Reason})");
    }
}
