using System.Collections.Immutable;

namespace VirtKit.X86;

/// <summary>What a guest's RDMSR and WRMSR do: each MSR is allowed as the engine has it, emulated by the host application, or refused with #GP (SDM 4). Immutable and
/// thread-safe.</summary>
/// <remarks>An engine that cannot carry a policy out refuses to make the machine. KVM filters at most 16 ranges of 12,288 MSRs each, and none of the x2APIC's, 0x800 to 0x8ff.</remarks>
public sealed class MsrPolicy
{
    private readonly ImmutableSortedDictionary<uint, MsrAction> _rules;

    private MsrPolicy(ImmutableSortedDictionary<uint, MsrAction> rules, bool emulatesUnknown)
    {
        _rules = rules;
        EmulatesUnknown = emulatesUnknown;
    }

    /// <summary>Every MSR that the engine knows is allowed; an unknown one raises #GP.</summary>
    public static MsrPolicy Default { get; } = new(ImmutableSortedDictionary<uint, MsrAction>.Empty, false);

    /// <summary>The rules in ascending order of MSR; an MSR without a rule is allowed.</summary>
    public IReadOnlyDictionary<uint, MsrAction> Rules => _rules;

    /// <summary>Whether the host application answers for an MSR that the engine does not know; otherwise it raises #GP.</summary>
    public bool EmulatesUnknown { get; }

    /// <summary>Raises #GP for these MSRs.</summary>
    /// <param name="first">The first MSR.</param>
    /// <param name="count">How many follow each other, 1 to 8192.</param>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public MsrPolicy Refuse(uint first, int count = 1) => With(first, count, MsrAction.Refuse);

    /// <summary>Lets the host application answer for these MSRs, by the machine's <see cref="X64Platform.MsrHandler"/>.</summary>
    /// <inheritdoc cref="Refuse"/>
    public MsrPolicy Emulate(uint first, int count = 1) => With(first, count, MsrAction.Emulate);

    /// <summary>Takes the rules of these MSRs back: the engine's own MSR is used.</summary>
    /// <inheritdoc cref="Refuse"/>
    /// <param name="first">The first MSR.</param>
    /// <param name="count">How many follow each other, 1 to 8192.</param>
    public MsrPolicy Allow(uint first, int count = 1)
    {
        CheckCount(first, count);
        return new MsrPolicy(_rules.RemoveRange(Enumerable.Range(0, count).Select(i => first + (uint)i)), EmulatesUnknown);
    }

    /// <summary>Lets the host application answer for MSRs that the engine does not know, by the machine's <see cref="X64Platform.MsrHandler"/>.</summary>
    public MsrPolicy EmulateUnknown() => new(_rules, emulatesUnknown: true);

    private MsrPolicy With(uint first, int count, MsrAction action)
    {
        CheckCount(first, count);
        return new MsrPolicy(_rules.SetItems(Enumerable.Range(0, count).Select(i => KeyValuePair.Create(first + (uint)i, action))), EmulatesUnknown);
    }

    private static void CheckCount(uint first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, 8192);
        if (first > uint.MaxValue - (uint)(count - 1))
            throw new ArgumentOutOfRangeException(nameof(count), count, "The range ends past the last MSR.");
    }
}

/// <summary>What an <see cref="MsrPolicy"/> does with an access.</summary>
public enum MsrAction
{
    /// <summary>The host application answers.</summary>
    Emulate,

    /// <summary>The guest gets #GP.</summary>
    Refuse,
}

/// <summary>Answers for MSRs. Called from vCPU threads; what it throws stops the machine with <see cref="ExitReason.InternalError"/>.</summary>
public interface IMsrHandler
{
    /// <summary>Answers RDMSR.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <param name="index">The MSR.</param>
    /// <param name="value">The value.</param>
    /// <returns>Whether there is such a register; if not, the guest gets #GP.</returns>
    bool TryRead(int vcpu, uint index, out ulong value);

    /// <summary>Answers WRMSR.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <param name="index">The MSR.</param>
    /// <param name="value">The value.</param>
    /// <returns>Whether the register takes this value; if not, the guest gets #GP.</returns>
    bool TryWrite(int vcpu, uint index, ulong value);
}
