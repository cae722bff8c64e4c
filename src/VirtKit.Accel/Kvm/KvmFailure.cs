using System.Globalization;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The exits that the guest does not simply go on from, as the host is told of them.</summary>
internal static unsafe class KvmFailure
{
    /// <summary>Reads why the kernel gave up. The state is whole, in front of the instruction.</summary>
    public static VcpuExit Read(KvmRun* run, KvmRegisterFile registers)
    {
        switch (run->ExitReason)
        {
            case KvmExit.Shutdown:
                return new VcpuExit(ExitReason.Fault, 0, "Triple fault.");
            case KvmExit.Debug:
                return new VcpuExit(ExitReason.Breakpoint);
            case KvmExit.SystemEvent:
                return run->SystemEvent.Type switch
                {
                    KvmRunSystemEvent.Shutdown => new VcpuExit(ExitReason.Shutdown),
                    KvmRunSystemEvent.Reset => new VcpuExit(ExitReason.Reset),
                    uint type => new VcpuExit(ExitReason.Fault, type, $"KVM reports system event {type}."),
                };
            case KvmExit.FailEntry:
                return new VcpuExit(ExitReason.Unsupported, run->HardwareExitReason, $"The processor refuses the vCPU's state: reason 0x{run->HardwareExitReason:x}.");
            case KvmExit.InternalError:
                return new VcpuExit(ExitReason.Unsupported, run->InternalError.Suberror, Describe(in run->InternalError, registers));
            default:
                return new VcpuExit(ExitReason.Unsupported, run->HardwareExitReason, $"KVM left the guest for reason {(uint)run->ExitReason}, which VirtKit does not know.");
        }
    }

    private static string Describe(in KvmRunInternalError error, KvmRegisterFile file)
    {
        file.Get(out X64Registers registers);
        if (error.Suberror != KvmRunInternalError.Emulation)
            return string.Create(CultureInfo.InvariantCulture, $"KVM's internal error {error.Suberror} at 0x{registers.Rip:x}.");
        bool hasBytes = error.Ndata >= 3 && (error.Flags & KvmRunInternalError.HasInstructionBytes) != 0;
        fixed (byte* code = error.InsnBytes)
        {
            string bytes = hasBytes ? Convert.ToHexStringLower(new ReadOnlySpan<byte>(code, Math.Min((int)error.InsnSize, 15))) : "unknown";
            return string.Create(CultureInfo.InvariantCulture, $"KVM cannot emulate the instruction at 0x{registers.Rip:x}: {bytes}.");
        }
    }
}
