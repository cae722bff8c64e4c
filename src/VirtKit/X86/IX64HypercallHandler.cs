namespace VirtKit.X86;

/// <summary>Answers a guest's hypercalls while its vCPU goes on, without stopping the machine. Called on vCPU threads, several at a time where there are several vCPUs;
/// what it throws stops the machine with <see cref="ExitReason.InternalError"/>.</summary>
/// <remarks>
/// By KVM's convention the number is in RAX before the call, arguments are in RBX, RCX, RDX and RSI, and the result goes to RAX. The calls come by one of two ways:
/// <list type="bullet">
/// <item>an OUT to <see cref="X64Architecture.HypercallPort"/>, which carries any number on every host and engine;</item>
/// <item>VMCALL or VMMCALL in ring 0, where the engine forwards the number. Linux's KVM answers its own numbers itself and gives -1000 (KVM_ENOSYS) for those that it does
/// not know, both without telling anybody; it forwards number 12 alone (KVM_HC_MAP_GPA_RANGE: RBX an aligned address, RCX a count of pages), with -1000 in RAX until it is
/// answered. Where KVM emulates ring 0 (nested in software), its emulator runs VMCALL over and over: only the port is a way there.</item>
/// </list>
/// </remarks>
public interface IX64HypercallHandler
{
    /// <summary>Answers one call.</summary>
    /// <param name="vcpu">The vCPU's index.</param>
    /// <param name="number">The number: RAX, of an OUT as far as it is wide.</param>
    /// <param name="registers">The registers behind the instruction; what is changed in them the guest finds changed.</param>
    /// <returns>Whether the call is answered; if not, the vCPU comes back with <see cref="ExitReason.Hypercall"/>.</returns>
    bool TryAnswer(int vcpu, ulong number, ref X64Registers registers);
}
