using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>A vCPU's hypercalls on their way to the host's handler.</summary>
internal sealed class KvmHypercalls(int index, KvmRegisterFile registers, X64Architecture architecture, IMachineEvents events)
{
    private readonly IX64HypercallHandler? _handler = architecture.Hypercalls;

    /// <summary>The port whose single OUTs are hypercalls; -1 for none.</summary>
    public int Port { get; } = architecture.HypercallPort ?? -1;

    /// <summary>Lets the handler answer a call.</summary>
    /// <param name="call">The call's exit, or what went wrong.</param>
    /// <param name="after">The registers where the answer changes them.</param>
    /// <returns>Whether the guest goes on; if not, <paramref name="call"/> is the exit.</returns>
    public bool TryAnswer(ref VcpuExit call, out X64Registers? after)
    {
        after = null;
        IHypercallHandler? machines = events.Hypercalls;
        if (_handler is null && machines is null)
            return false;
        registers.Get(out X64Registers before);
        X64Registers answer = before;
        try
        {
            if (_handler?.TryAnswer(index, call.Code, ref answer) != true)
            {
                if (machines is null || !machines.TryAnswer(index, new Hypercall(call.Code, [before.Rbx, before.Rcx, before.Rdx, before.Rsi]), out ulong result))
                    return false;
                answer = before;
                answer.Rax = result;
            }
        }
        catch (Exception e)
        {
            call = new VcpuExit(ExitReason.InternalError, call.Code, $"Hypercall handler, number 0x{call.Code:x}: {e.Message}");
            return false;
        }

        if (answer != before)
            after = answer;
        return true;
    }
}
