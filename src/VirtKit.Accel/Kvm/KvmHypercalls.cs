using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>A vCPU's hypercalls on their way to the host's handler.</summary>
internal sealed class KvmHypercalls(int index, KvmRegisterFile registers, X64Architecture architecture, IMachineEvents events)
{
    /// <summary>The port whose single OUTs are hypercalls; -1 for none.</summary>
    public int Port { get; } = architecture.HypercallPort ?? -1;

    /// <summary>Lets the handler answer a call, in RAX.</summary>
    /// <param name="call">The call's exit, or what went wrong.</param>
    /// <returns>Whether the guest goes on; if not, <paramref name="call"/> is the exit.</returns>
    public bool TryAnswer(ref VcpuExit call)
    {
        if (events.Hypercalls is not { } handler)
            return false;
        registers.Get(out X64Registers answer);
        ulong number = answer.Rax;
        try
        {
            if (!handler.TryAnswer(index, new Hypercall(call.Code, [answer.Rbx, answer.Rcx, answer.Rdx, answer.Rsi]), out answer.Rax))
                return false;
        }
        catch (Exception e)
        {
            call = new VcpuExit(ExitReason.InternalError, call.Code, $"Hypercall handler, number 0x{call.Code:x}: {e.Message}");
            return false;
        }

        if (answer.Rax != number)
            registers.Set(in answer);
        return true;
    }
}
