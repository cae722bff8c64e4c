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

    internal SandboxTrapException(GuestTrap trap, string? symbol, string reason)
        : base($"{reason} In {symbol ?? "a function without a name"}.")
    {
        Trap = trap;
        Symbol = symbol;
    }

    /// <summary>The trap in the words of the guest's architecture.</summary>
    public GuestTrap Trap { get; }

    /// <summary>The function in which the guest trapped with the offset, <c>score+0x1c</c>, or from which it called the host; <see langword="null"/> where the program has no symbol
    /// there.</summary>
    public string? Symbol { get; }
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
