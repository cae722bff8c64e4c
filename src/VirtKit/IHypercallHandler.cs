namespace VirtKit;

/// <summary>Answers a guest's hypercalls while its vCPU goes on (<see cref="Machine.Hypercalls"/>), whatever the architecture.</summary>
/// <remarks>
/// How a guest calls is the architecture's affair:
/// <list type="bullet">
/// <item>RISC-V, with <see cref="RiscV.SbiOptions.Hypercalls"/>: an ECALL from S-mode to the SBI extension <see cref="RiscV.SbiOptions.HypercallExtension"/> (a7), the number in a6, up to six
/// arguments in a0 to a5. The answer comes in a1, with 0 in a0.</item>
/// <item>x86-64: an OUT to <see cref="X86.X64Architecture.HypercallPort"/>, or VMCALL and VMMCALL where the engine forwards them; the number in RAX, up to four arguments in RBX, RCX, RDX and
/// RSI. The answer comes in RAX.</item>
/// </list>
/// </remarks>
public interface IHypercallHandler
{
    /// <summary>Answers one call. On vCPU threads, several at a time where there are several vCPUs; must not block. What it throws stops the machine with
    /// <see cref="ExitReason.InternalError"/>.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <param name="call">The call. Its addresses are the guest's own; it may say anything.</param>
    /// <param name="result">What the guest gets.</param>
    /// <returns>Whether the call is answered; if not, the vCPU comes back with <see cref="ExitReason.Hypercall"/> behind the instruction, the number as code, and the host answers in
    /// registers.</returns>
    bool TryAnswer(int vcpu, Hypercall call, out ulong result);
}

/// <summary>A guest's call to its host.</summary>
/// <param name="number">The number.</param>
/// <param name="arguments">The arguments.</param>
public readonly ref struct Hypercall(ulong number, ReadOnlySpan<ulong> arguments)
{
    /// <summary>The number, which the host gives a meaning.</summary>
    public ulong Number { get; } = number;

    /// <summary>All registers that may hold arguments, 4 or 6 by the architecture: how many count is the number's affair. Valid during the call.</summary>
    public ReadOnlySpan<ulong> Arguments { get; } = arguments;
}
