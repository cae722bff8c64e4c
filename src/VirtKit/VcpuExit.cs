namespace VirtKit;

/// <summary>Why <see cref="Vcpu.Run"/> or <see cref="Machine.Run(CancellationToken)"/> came back.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Code">For <see cref="ExitReason.Shutdown"/> the guest's exit code, 0 for success; for <see cref="ExitReason.Hypercall"/> its number; for
/// <see cref="ExitReason.Fault"/> and <see cref="ExitReason.Unsupported"/> the architecture's cause; otherwise 0.</param>
/// <param name="Detail">A text for people, or <see langword="null"/>.</param>
public readonly record struct VcpuExit(ExitReason Reason, ulong Code = 0, string? Detail = null);
