using System.Globalization;
using System.Text;

namespace VirtKit.X86;

/// <summary>What CPUID answers on one vCPU, with the reason of everything that is not the host's own answer. Immutable.</summary>
public sealed class CpuidTable
{
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

    /// <summary>The answer to one CPUID instruction. A leaf that the table lacks answers zeros, and a leaf past the last basic one does so, too (as AMD's processors do).</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    public CpuidResult Lookup(uint leaf, uint subleaf)
    {
        foreach (CpuidEntry entry in _entries)
        {
            if (entry.Leaf == leaf && (!entry.HasSubleaves || entry.Subleaf == subleaf))
                return entry.Answer;
        }

        return default;
    }

    /// <summary>Whether a feature is shown.</summary>
    /// <exception cref="ArgumentException">No feature is called so.</exception>
    public bool Has(string feature)
    {
        CpuidFeature f = CpuidFeature.Named(feature);
        return ((Lookup(f.Leaf, f.Subleaf)[f.Register] >> f.Bit) & 1) != 0;
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
    /// <summary>The line in one row of text.</summary>
    public override string ToString()
    {
        string register = Register.ToString().ToLowerInvariant();
        return Bit is { } bit
            ? string.Create(CultureInfo.InvariantCulture, $"{Leaf:x8}.{Subleaf:x} {register}[{bit}] {(Feature.Length == 0 ? "-" : Feature)}: {Host} -> {Guest} ({Reason})")
            : string.Create(CultureInfo.InvariantCulture, $"{Leaf:x8}.{Subleaf:x} {register}: {Host:x8} -> {Guest:x8} ({Reason})");
    }
}
