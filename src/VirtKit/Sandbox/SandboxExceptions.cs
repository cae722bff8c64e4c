using System.Text;

namespace VirtKit.Sandboxing;

/// <summary>A call into a sandbox did not end by returning. The sandbox takes no further call until <see cref="Sandbox.Reset()"/>; the host has lost nothing.</summary>
public class SandboxException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public SandboxException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public SandboxException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public SandboxException(string message, Exception innerException) : base(message, innerException) { }
}

/// <summary>The guest did something that it may not do, or cannot: a wild pointer, an instruction that does not exist, a function that it imports and the host does not expose.</summary>
public sealed class SandboxTrapException : SandboxException
{
    /// <summary>Creates the exception without a trap.</summary>
    public SandboxTrapException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public SandboxTrapException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public SandboxTrapException(string message, Exception innerException) : base(message, innerException) { }

    internal SandboxTrapException(GuestTrap trap, string reason, IReadOnlyList<SandboxFrame> stack)
        : base(Describe(reason, stack))
    {
        Trap = trap;
        Stack = stack;
    }

    /// <summary>The trap in the words of the guest's architecture.</summary>
    public GuestTrap Trap { get; }

    /// <summary>Where the guest was: the function that trapped first, then who called it, as far as that can be told. At most 64.</summary>
    public IReadOnlyList<SandboxFrame> Stack { get; } = [];

    private static string Describe(string reason, IReadOnlyList<SandboxFrame> stack)
    {
        var text = new StringBuilder(reason);
        foreach (SandboxFrame frame in stack)
            text.Append(Environment.NewLine).Append("   at ").Append(frame);
        return text.ToString();
    }
}

/// <summary>The guest was stopped by a limit that the host had set.</summary>
public sealed class SandboxLimitException : SandboxException
{
    /// <summary>Creates the exception without a limit.</summary>
    public SandboxLimitException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public SandboxLimitException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public SandboxLimitException(string message, Exception innerException) : base(message, innerException) { }

    internal SandboxLimitException(SandboxLimit limit, string reason)
        : base(reason) => Limit = limit;

    /// <summary>The limit that was reached.</summary>
    public SandboxLimit Limit { get; }
}

/// <summary>What a sandbox is limited in.</summary>
public enum SandboxLimit
{
    /// <summary>Instructions of a call (<see cref="SandboxBuilder.WithBudget"/>).</summary>
    Budget,

    /// <summary>Host time of a call (<see cref="SandboxBuilder.WithDeadline"/>).</summary>
    Deadline,

    /// <summary>Memory in all (<see cref="SandboxBuilder.WithMemory"/>).</summary>
    Memory,

    /// <summary>Calls that host functions make into the guest that called them (<see cref="SandboxBuilder.WithReentry"/>).</summary>
    Reentry,

    /// <summary>Bytes that the guest may write to the host's log (<see cref="SandboxBuilder.WithOutputLimit"/>).</summary>
    Output,
}

/// <summary>A function of the guest that was under way.</summary>
/// <param name="Address">The address of the instruction, or of the one behind the call.</param>
/// <param name="Symbol">The function with the offset, <c>score+0x1c</c>; <see langword="null"/> where the program has no symbol there.</param>
/// <param name="Source">File and line, <c>plugin.c:12</c>; <see langword="null"/> where the program has no DWARF lines.</param>
public readonly record struct SandboxFrame(Gva Address, string? Symbol, string? Source)
{
    /// <summary>The frame in one line.</summary>
    public override string ToString() => $"{Symbol ?? Address.ToString()}{(Source is null ? "" : $" in {Source}")}";
}
