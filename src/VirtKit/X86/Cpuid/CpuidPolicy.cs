using System.Collections.Immutable;

namespace VirtKit.X86;

/// <summary>Decides what CPUID tells a guest. CPUID is the classic sensitive instruction: run directly, it would show the host. A policy is a list of rules that are
/// applied in order to the host's answers; each call adds one and returns a new policy. Immutable and thread-safe. SDM 2A, CPUID; APM 3, appendix E.</summary>
/// <remarks>The table is built once for each vCPU. What follows from the features and the topology is derived last, so that it agrees with what the rules show and hide: the
/// leaves of a feature, the layout of the XSAVE area, caches, cores and APIC IDs in the leaves of Intel and of AMD. A row that <see cref="Answer(uint, uint?, CpuidResult)"/>
/// sets stays as it is. A feature that the host offers without one that it needs is hidden. A set that cannot be is refused with every reason: a feature without the one it needs, one that the host lacks, one in a
/// leaf behind the last that is shown, a topology in which the vCPU has no place.</remarks>
/// <example>
/// What the host has, without some features, as one package of four cores:
/// <code>
/// var architecture = new X64Architecture
/// {
///     Cpuid = CpuidPolicy.Host.HideWithDependents("avx512f", "rdrand").WithTopology(new CpuidTopology(CoresPerPackage: 4)),
/// };
/// </code>
/// </example>
public sealed class CpuidPolicy
{
    private readonly ImmutableArray<Action<CpuidDraft>> _rules;

    private CpuidPolicy(ImmutableArray<Action<CpuidDraft>> rules) => _rules = rules;

    /// <summary>The host's answers, as far as the engine can offer them.</summary>
    public static CpuidPolicy Host { get; } = new([]);

    /// <summary>The fixed model, equal on every host (<see cref="CpuidModel.VirtKit"/>).</summary>
    public static CpuidPolicy Fixed { get; } = Host.Then(CpuidModelRule.ApplyFixed);

    /// <summary>A named model. <see cref="CpuidModel.VirtKit"/> is <see cref="Fixed"/>; of the others the features are the model's, and family, caches and address sizes the host's.</summary>
    public static CpuidPolicy Model(CpuidModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model == CpuidModel.VirtKit ? Fixed : Host.Then(draft => CpuidModelRule.Apply(draft, model));
    }

    /// <summary>Hides features.</summary>
    /// <param name="features">Their names (<see cref="CpuidFeature.All"/>).</param>
    /// <exception cref="ArgumentException">No feature is called so.</exception>
    public CpuidPolicy Hide(params IReadOnlyList<string> features) => Switch(features, on: false, "hidden by name");

    /// <summary>Hides features with everything that needs them.</summary>
    /// <inheritdoc cref="Hide"/>
    public CpuidPolicy HideWithDependents(params IReadOnlyList<string> features)
    {
        var hidden = features.Select(f => CpuidFeature.Named(f).Name).ToHashSet();
        CpuidDependencies.AddDependents(hidden);
        return Switch([.. hidden], on: false, $"hidden with {string.Join(", ", features)}");
    }

    /// <summary>Shows features. The host has to have them.</summary>
    /// <inheritdoc cref="Hide"/>
    public CpuidPolicy Show(params IReadOnlyList<string> features) => Switch(features, on: true, "shown by name");

    /// <summary>Hides a leaf with all its subleaves: it answers zeros.</summary>
    public CpuidPolicy HideLeaf(uint leaf) => Then(draft =>
    {
        draft.RemoveLeaves(leaf, leaf, "leaf hidden");
        draft.Decide(leaf, null);
    });

    /// <summary>Shows this arrangement of cores and packages.</summary>
    public CpuidPolicy WithTopology(CpuidTopology topology) => Then(topology.Apply);

    /// <summary>Replaces the hypervisor's leaves.</summary>
    public CpuidPolicy WithHypervisor(CpuidHypervisor hypervisor)
    {
        ArgumentNullException.ThrowIfNull(hypervisor);
        return Then(hypervisor.Apply);
    }

    /// <summary>Answers one leaf with this. It is not checked against the host, and nothing is derived there.</summary>
    /// <param name="leaf">The leaf.</param>
    /// <param name="subleaf">The subleaf, or <see langword="null"/> for a leaf that has none.</param>
    /// <param name="answer">The answer.</param>
    public CpuidPolicy Answer(uint leaf, uint? subleaf, CpuidResult answer) => Then(draft =>
    {
        draft.SetEntry(leaf, subleaf, answer, "answered by the host application");
        draft.Decide(leaf, subleaf);
    });

    /// <summary>Passes each row through a function of leaf, subleaf and answer. What it sets is not checked against the host.</summary>
    /// <param name="answer">Called for each row in ascending order, when a table is built; pure.</param>
    public CpuidPolicy Answer(Func<CpuidEntry, CpuidResult> answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        return Then(draft =>
        {
            foreach (CpuidEntry entry in draft.Entries.ToArray())
            {
                CpuidResult result = answer(entry);
                if (result == entry.Answer)
                    continue;
                draft.SetEntry(entry.Leaf, entry.HasSubleaves ? entry.Subleaf : null, result, "answered by the host application");
                draft.Decide(entry.Leaf, entry.Subleaf);
            }
        });
    }

    /// <summary>Applies another policy's rules after this one's.</summary>
    public CpuidPolicy Then(CpuidPolicy next)
    {
        ArgumentNullException.ThrowIfNull(next);
        return new CpuidPolicy(_rules.AddRange(next._rules));
    }

    /// <summary>Builds the table of one vCPU.</summary>
    /// <param name="host">What the engine can offer on this host.</param>
    /// <param name="vcpu">The vCPU's index; also its APIC ID.</param>
    /// <param name="vcpuCount">The number of vCPUs.</param>
    /// <exception cref="VirtKitException">The set is inconsistent or the host lacks a feature; the message lists every reason.</exception>
    public CpuidTable Build(IReadOnlyList<CpuidEntry> host, int vcpu, int vcpuCount)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentOutOfRangeException.ThrowIfNegative(vcpu);
        ArgumentOutOfRangeException.ThrowIfLessThan(vcpuCount, 1);
        var draft = new CpuidDraft(host, vcpu);
        foreach (Action<CpuidDraft> rule in _rules.Insert(0, new CpuidTopology(Math.Min(vcpuCount, 256)).Apply))
            rule(draft);
        return draft.Finish();
    }

    private CpuidPolicy Then(Action<CpuidDraft> rule) => new(_rules.Add(rule));

    private CpuidPolicy Switch(IReadOnlyList<string> features, bool on, string reason)
    {
        ArgumentNullException.ThrowIfNull(features);
        string[] names = [.. features.Select(f => CpuidFeature.Named(f).Name)];
        return Then(draft =>
        {
            foreach (string name in names)
                draft.SetFeature(name, on, reason);
        });
    }
}
