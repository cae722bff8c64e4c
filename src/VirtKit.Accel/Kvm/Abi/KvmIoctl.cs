namespace VirtKit.Accel.Kvm;

// The kernel's interface is this folder: linux/kvm.h and asm/kvm.h for x86-64. Names are the kernel's in C# spelling; a test compares every size and offset with the headers.

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
    public static readonly nuint GetIrqchip = Iowr(0x62, sizeof(KvmIrqchip)), SetIrqchip = Ior(0x63, sizeof(KvmIrqchip));
    public static readonly nuint GetPit2 = Ior(0x9f, sizeof(KvmPitState2)), SetPit2 = Iow(0xa0, sizeof(KvmPitState2));
    public static readonly nuint SetDeviceAttr = Iow(0xe1, sizeof(KvmDeviceAttr)), GetDeviceAttr = Iow(0xe2, sizeof(KvmDeviceAttr));
    public static readonly nuint EnableCap = Iow(0xa3, sizeof(KvmEnableCap)), SetMsrFilter = Iow(0xc6, sizeof(KvmMsrFilter));
    public static readonly nuint RegisterCoalescedMmio = Iow(0x67, sizeof(KvmCoalescedMmioZone)), UnregisterCoalescedMmio = Iow(0x68, sizeof(KvmCoalescedMmioZone));

    public static readonly nuint Run = Io(0x80), Nmi = Io(0x9a), GetTscKhz = Io(0xa3), KvmclockCtrl = Io(0xad);
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
    ExtCpuid = 7,
    CoalescedMmio = 15,
    VcpuEvents = 41,
    Debugregs = 50,
    Xsave = 55,
    Xcrs = 56,
    GetTscKhz = 61,
    MaxVcpus = 66,
    TscDeadlineTimer = 72,
    ReadonlyMem = 81,
    ImmediateExit = 136,
    CoalescedPio = 162,
    X86UserSpaceMsr = 188,
    X86MsrFilter = 189,
    EnforcePvFeatureCpuid = 190,
    ExitHypercall = 201,
    ExitOnEmulationFailure = 204,
    Xsave2 = 208,
}
