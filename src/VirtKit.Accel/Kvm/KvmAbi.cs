using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Accel.Kvm;

// The kernel's interface, whole: linux/kvm.h and asm/kvm.h for x86-64. Names are the kernel's in C# spelling; a test compares every size and offset with the headers.

/// <summary>Requests of <c>ioctl</c> (linux/kvm.h). The layout is the kernel's: direction, size of the argument, type 0xAE, number.</summary>
internal static unsafe class KvmIoctl
{
    public const int ApiVersion = 12;

    public static readonly nuint GetApiVersion = Io(0x00), CreateVm = Io(0x01), CheckExtension = Io(0x03), GetVcpuMmapSize = Io(0x04);
    public static readonly nuint GetMsrIndexList = Iowr(0x02, 4), GetSupportedCpuid = Iowr(0x05, 8);

    public static readonly nuint CreateVcpu = Io(0x41), SetTssAddr = Io(0x47), CreateIrqchip = Io(0x60);
    public static readonly nuint GetDirtyLog = Iow(0x42, sizeof(KvmDirtyLog)), SetUserMemoryRegion = Iow(0x46, sizeof(KvmUserspaceMemoryRegion));
    public static readonly nuint SetIdentityMapAddr = Iow(0x48, 8), IrqLine = Iow(0x61, sizeof(KvmIrqLevel)), Irqfd = Iow(0x76, sizeof(KvmIrqfd));
    public static readonly nuint CreatePit2 = Iow(0x77, sizeof(KvmPitConfig)), Ioeventfd = Iow(0x79, sizeof(KvmIoeventfd));
    public static readonly nuint SetClock = Iow(0x7b, sizeof(KvmClock)), GetClock = Ior(0x7c, sizeof(KvmClock));
    public static readonly nuint EnableCap = Iow(0xa3, sizeof(KvmEnableCap)), SetMsrFilter = Iow(0xc6, sizeof(KvmMsrFilter));

    public static readonly nuint Run = Io(0x80), Nmi = Io(0x9a);
    public static readonly nuint GetRegs = Ior(0x81, sizeof(KvmRegs)), SetRegs = Iow(0x82, sizeof(KvmRegs)), GetSregs = Ior(0x83, sizeof(KvmSregs)), SetSregs = Iow(0x84, sizeof(KvmSregs));
    public static readonly nuint Interrupt = Iow(0x86, 4), GetMsrs = Iowr(0x88, 8), SetMsrs = Iow(0x89, 8), SetSignalMask = Iow(0x8b, 4);
    public static readonly nuint GetLapic = Ior(0x8e, 1024), SetLapic = Iow(0x8f, 1024), SetCpuid2 = Iow(0x90, 8), GetCpuid2 = Iowr(0x91, 8), GetMpState = Ior(0x98, 4), SetMpState = Iow(0x99, 4);
    public static readonly nuint GetVcpuEvents = Ior(0x9f, sizeof(KvmVcpuEvents)), SetVcpuEvents = Iow(0xa0, sizeof(KvmVcpuEvents));
    public static readonly nuint GetDebugregs = Ior(0xa1, sizeof(KvmDebugregs)), SetDebugregs = Iow(0xa2, sizeof(KvmDebugregs));
    public static readonly nuint GetXsave = Ior(0xa4, 4096), SetXsave = Iow(0xa5, 4096), GetXcrs = Ior(0xa6, sizeof(KvmXcrs)), SetXcrs = Iow(0xa7, sizeof(KvmXcrs));
    public static readonly nuint GetXsave2 = Ior(0xcf, 4096);

    private static nuint Io(uint number) => 0xAE00 | number;

    private static nuint Iow(uint number, int size) => 0x4000_AE00 | ((uint)size << 16) | number;

    private static nuint Ior(uint number, int size) => 0x8000_AE00 | ((uint)size << 16) | number;

    private static nuint Iowr(uint number, int size) => 0xC000_AE00 | ((uint)size << 16) | number;
}

/// <summary>KVM_CAP_*: what CHECK_EXTENSION is asked and ENABLE_CAP given.</summary>
internal enum KvmCap : uint
{
    Irqchip = 0,
    UserMemory = 3,
    SetTssAddr = 4,
    ExtCpuid = 7,
    NrMemslots = 10,
    MpState = 14,
    Irqfd = 32,
    Pit2 = 33,
    Ioeventfd = 36,
    SetIdentityMapAddr = 37,
    AdjustClock = 39,
    VcpuEvents = 41,
    Debugregs = 50,
    Xsave = 55,
    Xcrs = 56,
    MaxVcpus = 66,
    ReadonlyMem = 81,
    SplitIrqchip = 121,
    ImmediateExit = 136,
    X86UserSpaceMsr = 188,
    X86MsrFilter = 189,
    EnforcePvFeatureCpuid = 190,
    ExitHypercall = 201,
    ExitOnEmulationFailure = 204,
    Xsave2 = 208,
}

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

[StructLayout(LayoutKind.Sequential)]
internal struct KvmUserspaceMemoryRegion
{
    public const uint LogDirtyPages = 1, Readonly = 2;

    public uint Slot;
    public uint Flags;
    public ulong GuestPhysAddr;
    public ulong MemorySize;
    public ulong UserspaceAddr;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmDirtyLog
{
    public uint Slot;
    public uint Padding1;
    public ulong* DirtyBitmap;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmIrqLevel
{
    public uint Irq;
    public uint Level;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmIrqfd
{
    public const uint Deassign = 1;

    public uint Fd;
    public uint Gsi;
    public uint Flags;
    public uint Resamplefd;
    public fixed byte Pad[16];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmIoeventfd
{
    public const uint Datamatch = 1, Pio = 2, Deassign = 4;

    public ulong DatamatchValue;
    public ulong Addr;
    public uint Len;
    public int Fd;
    public uint Flags;
    public fixed byte Pad[36];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmPitConfig
{
    public const uint Speaker = 1;

    public uint Flags;
    public fixed uint Pad[15];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmClock
{
    public ulong Clock;
    public uint Flags;
    public uint Pad0;
    public ulong Realtime;
    public ulong HostTsc;
    public fixed uint Pad[4];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmEnableCap
{
    public uint Cap;
    public uint Flags;
    public fixed ulong Args[4];
    public fixed byte Pad[64];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmMsrFilterRange
{
    public const uint Read = 1, Write = 2;

    public uint Flags;
    public uint Nmsrs;
    public uint Base;
    public byte* Bitmap;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmMsrFilter
{
    public const int MaxRanges = 16, MaxBitmapSize = 0x600;

    public uint Flags;
    public RangeList Ranges;

    [InlineArray(MaxRanges)]
    public struct RangeList
    {
        private KvmMsrFilterRange _first;
    }
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmRegs
{
    public ulong Rax, Rbx, Rcx, Rdx, Rsi, Rdi, Rsp, Rbp, R8, R9, R10, R11, R12, R13, R14, R15, Rip, Rflags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmSegment
{
    public ulong Base;
    public uint Limit;
    public ushort Selector;
    public byte Type;
    public byte Present, Dpl, Db, S, L, G, Avl;
    public byte Unusable;
    public byte Padding;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmDtable
{
    public ulong Base;
    public ushort Limit;
    public fixed ushort Padding[3];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmSregs
{
    public KvmSegment Cs, Ds, Es, Fs, Gs, Ss, Tr, Ldt;
    public KvmDtable Gdt, Idt;
    public ulong Cr0, Cr2, Cr3, Cr4, Cr8, Efer, ApicBase;
    public fixed ulong InterruptBitmap[4];
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmMsrEntry
{
    public uint Index;
    public uint Reserved;
    public ulong Data;
}

/// <summary>struct kvm_msrs with room for what an X64State holds.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmMsrs
{
    public uint Nmsrs;
    public uint Pad;
    public EntryList Entries;

    [InlineArray(X86.X64State.MsrCapacity)]
    public struct EntryList
    {
        private KvmMsrEntry _first;
    }
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmCpuidEntry2
{
    public const uint SignificantIndex = 1;

    public uint Function;
    public uint Index;
    public uint Flags;
    public uint Eax, Ebx, Ecx, Edx;
    public fixed uint Padding[3];
}

[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct KvmVcpuEvents
{
    public const uint ValidNmiPending = 1, ValidSipiVector = 2, ValidShadow = 4;

    [FieldOffset(0)] public byte ExceptionInjected;
    [FieldOffset(1)] public byte ExceptionNr;
    [FieldOffset(2)] public byte ExceptionHasErrorCode;
    [FieldOffset(3)] public byte ExceptionPending;
    [FieldOffset(4)] public uint ExceptionErrorCode;
    [FieldOffset(8)] public byte InterruptInjected;
    [FieldOffset(9)] public byte InterruptNr;
    [FieldOffset(10)] public byte InterruptSoft;
    [FieldOffset(11)] public byte InterruptShadow;
    [FieldOffset(12)] public byte NmiInjected;
    [FieldOffset(13)] public byte NmiPending;
    [FieldOffset(14)] public byte NmiMasked;
    [FieldOffset(16)] public uint SipiVector;
    [FieldOffset(20)] public uint Flags;
    [FieldOffset(24)] public byte SmiSmm;
    [FieldOffset(28)] public byte TripleFaultPending;
    [FieldOffset(55)] public byte ExceptionHasPayload;
    [FieldOffset(56)] public ulong ExceptionPayload;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmDebugregs
{
    public fixed ulong Db[4];
    public ulong Dr6;
    public ulong Dr7;
    public ulong Flags;
    public fixed ulong Reserved[9];
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmXcr
{
    public uint Xcr;
    public uint Reserved;
    public ulong Value;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmXcrs
{
    public const int MaxXcrs = 16;

    public uint NrXcrs;
    public uint Flags;
    public XcrList Xcrs;
    public fixed ulong Padding[16];

    [InlineArray(MaxXcrs)]
    public struct XcrList
    {
        private KvmXcr _first;
    }
}

/// <summary>KVM_MP_STATE_* for x86.</summary>
internal enum KvmMpState : uint
{
    Runnable = 0,
    Uninitialized = 1,
    InitReceived = 2,
    Halted = 3,
    SipiReceived = 4,
}
