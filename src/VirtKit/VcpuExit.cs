namespace VirtKit;

/// <summary>Why <see cref="Vcpu.Run"/> or <see cref="Machine.Run(CancellationToken)"/> came back.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Code">For <see cref="ExitReason.Shutdown"/> the guest's exit code, 0 for success; for <see cref="ExitReason.Hypercall"/> its number; for
/// <see cref="ExitReason.Fault"/> and <see cref="ExitReason.Unsupported"/> the architecture's cause, of the last trap; otherwise 0.</param>
/// <param name="Detail">A text for people, or <see langword="null"/>.</param>
public readonly record struct VcpuExit(ExitReason Reason, ulong Code = 0, string? Detail = null)
{
    /// <summary>For <see cref="ExitReason.Fault"/>, the trap that began it, where the engine knows it: a guest whose handler cannot be fetched traps again and again,
    /// and its registers only show the last time. Otherwise <see langword="null"/>.</summary>
    public GuestTrap? FirstTrap
    {
        get => _firstTrap?.Trap;
        init => _firstTrap = value is { } trap ? new TrapBox(trap) : null;
    }

    /// <summary>Apart, because few exits have one and every run returns an exit.</summary>
    private readonly TrapBox? _firstTrap;

    private sealed record TrapBox(GuestTrap Trap);
}
