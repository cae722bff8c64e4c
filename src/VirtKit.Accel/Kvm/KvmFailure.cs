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
                return TripleFault(registers);
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
                return new VcpuExit(ExitReason.Unsupported, run->HardwareExitReason, $"The processor refuses the vCPU's state: hardware reason 0x{run->HardwareExitReason:x} (SDM 3C §26.8; APM 2 §15.6).");
            case KvmExit.InternalError:
                return new VcpuExit(ExitReason.Unsupported, run->InternalError.Suberror, Describe(in run->InternalError, registers)) { FirstTrap = FindInterrupted(in run->InternalError, registers) };
            default:
                return new VcpuExit(ExitReason.Unsupported, run->HardwareExitReason, $"KVM left the guest for reason {(uint)run->ExitReason}, which VirtKit does not know.");
        }
    }

    /// <summary>An exception while a double fault was being delivered (SDM 3A §6.15, interrupt 8): which was the first is told as far as KVM has taken part in it.</summary>
    private static VcpuExit TripleFault(KvmRegisterFile file)
    {
        file.Get(out X64State state);
        if (state.Registers.Rip == 0xfff0 && state.Cs.Base == 0xffff_0000 && (state.Cr0 & 1) == 0)
            return new VcpuExit(ExitReason.Fault, 0, "Triple fault. AMD's processors keep nothing of what led to it, and KVM has reset the vCPU.");
        int vector = state.Events.ExceptionVector;
        bool isLong = X64StateRules.IsLong(in state);
        // The number stays from the last exception that KVM has dealt with. It is this one where it is still in delivery, or where its gate lies behind the table's limit.
        bool isKnown = state.Events.ExceptionInjected || state.Events.ExceptionPending || (vector != 0 && state.Idtr.Limit < ((vector + 1) * (isLong ? 16 : X64StateRules.IsProtected(in state) ? 8 : 4)) - 1);
        string where = string.Create(CultureInfo.InvariantCulture, $"Triple fault at 0x{state.Registers.Rip:x}");
        if (!isKnown)
            return new VcpuExit(ExitReason.Fault, 0, $"{where}. KVM does not tell which exception began it.");
        var first = new GuestTrap((ulong)vector, new Gva(state.Registers.Rip), vector == X64Exception.PageFault ? state.Cr2 : state.Events.ExceptionErrorCode, X64Exception.NameOf(vector));
        return new VcpuExit(ExitReason.Fault, (ulong)vector, $"{where}. It began with {first}.") { FirstTrap = first };
    }

    /// <summary>The exception whose delivery came to nothing, where the processor has told KVM (SDM 3C §24.9.3: bit 31 of the word says that it is valid, bits 10 to 8 are 3 for an exception).</summary>
    private static GuestTrap? FindInterrupted(in KvmRunInternalError error, KvmRegisterFile file)
    {
        if (error.Suberror is not (KvmRunInternalError.Delivery or KvmRunInternalError.SimultaneousExceptions) || error.Ndata == 0 || (error.Flags & 0x8000_0700) != 0x8000_0300)
            return null;
        file.Get(out X64State state);
        int vector = (int)(error.Flags & 0xff);
        return new GuestTrap((ulong)vector, new Gva(state.Registers.Rip), vector == X64Exception.PageFault ? state.Cr2 : state.Events.ExceptionErrorCode, X64Exception.NameOf(vector));
    }

    private static string Describe(in KvmRunInternalError error, KvmRegisterFile file)
    {
        file.Get(out X64Registers registers);
        if (error.Suberror != KvmRunInternalError.Emulation)
        {
            string reason = error.Suberror switch
            {
                KvmRunInternalError.SimultaneousExceptions => "Two exceptions came at once",
                KvmRunInternalError.Delivery => "An event could not be delivered to the guest",
                KvmRunInternalError.UnexpectedExit => "The processor left the guest for a reason that KVM does not know",
                _ => "KVM gave up",
            };
            return string.Create(CultureInfo.InvariantCulture, $"{reason} at 0x{registers.Rip:x}: KVM's internal error {error.Suberror}.");
        }

        bool hasBytes = error.Ndata >= 3 && (error.Flags & KvmRunInternalError.HasInstructionBytes) != 0;
        fixed (byte* code = error.InsnBytes)
        {
            string bytes = hasBytes ? Convert.ToHexStringLower(new ReadOnlySpan<byte>(code, Math.Min((int)error.InsnSize, 15))) : "unknown";
            return string.Create(CultureInfo.InvariantCulture, $"KVM cannot emulate the instruction at 0x{registers.Rip:x}: {bytes}.");
        }
    }
}
