using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Accel.Kvm;

/// <summary>KVM_EXIT_*.</summary>
internal enum KvmExit : uint
{
    Unknown = 0,
    Exception = 1,
    Io = 2,
    Hypercall = 3,
    Debug = 4,
    Hlt = 5,
    Mmio = 6,
    IrqWindowOpen = 7,
    Shutdown = 8,
    FailEntry = 9,
    Intr = 10,
    SetTpr = 11,
    InternalError = 17,
    SystemEvent = 24,
    IoapicEoi = 26,
    X86Rdmsr = 29,
    X86Wrmsr = 30,
}

/// <summary>struct kvm_run up to the registers that user space may share; the page is mapped from the vCPU's descriptor.</summary>
[StructLayout(LayoutKind.Explicit, Size = 2352)]
internal unsafe struct KvmRun
{
    [FieldOffset(0)] public byte RequestInterruptWindow;
    [FieldOffset(1)] public byte ImmediateExit;
    [FieldOffset(8)] public KvmExit ExitReason;
    [FieldOffset(12)] public byte ReadyForInterruptInjection;
    [FieldOffset(13)] public byte IfFlag;
    [FieldOffset(16)] public ulong Cr8;
    [FieldOffset(24)] public ulong ApicBase;
    [FieldOffset(32)] public ulong HardwareExitReason;
    [FieldOffset(32)] public KvmRunIo Io;
    [FieldOffset(32)] public KvmRunMmio Mmio;
    [FieldOffset(32)] public KvmRunHypercall Hypercall;
    [FieldOffset(32)] public KvmRunInternalError InternalError;
    [FieldOffset(32)] public KvmRunSystemEvent SystemEvent;
    [FieldOffset(32)] public KvmRunMsr Msr;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmRunIo
{
    public byte Direction;
    public byte Size;
    public ushort Port;
    public uint Count;
    public ulong DataOffset;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmRunMmio
{
    public ulong PhysAddr;
    public ulong Data;
    public uint Len;
    public byte IsWrite;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmRunHypercall
{
    public ulong Nr;
    public fixed ulong Args[6];
    public ulong Ret;
    public uint Longmode;
    public uint Pad;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmRunInternalError
{
    public const uint Emulation = 1, SimultaneousExceptions = 2, Delivery = 3, UnexpectedExit = 4;
    public const ulong HasInstructionBytes = 1;

    public uint Suberror;
    public uint Ndata;
    public ulong Flags;
    public byte InsnSize;
    public fixed byte InsnBytes[15];
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmRunSystemEvent
{
    public const uint Shutdown = 1, Reset = 2, Crash = 3;

    public uint Type;
    public uint Ndata;
    public ulong Flags;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmRunMsr
{
    public byte Error;
    public fixed byte Pad[7];
    public uint Reason;
    public uint Index;
    public ulong Data;
}

/// <summary>struct kvm_coalesced_mmio_ring: one page of the vCPU's mapping, the same for all vCPUs of a machine. The kernel moves Last, we move First.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmCoalescedMmioRing
{
    /// <summary>KVM_COALESCED_MMIO_MAX for pages of 4 KiB; one place always stays free.</summary>
    public const int Capacity = 170;

    public uint First;
    public uint Last;
    public EntryList CoalescedMmio;

    [InlineArray(Capacity)]
    public struct EntryList
    {
        private KvmCoalescedMmio _first;
    }
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmCoalescedMmio
{
    public ulong PhysAddr;
    public uint Len;
    public uint Pio;
    public fixed byte Data[8];
}
