using System.Runtime.InteropServices;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The kernel's KVM as a whole: whether it is there, and what it can do.</summary>
internal sealed unsafe class KvmSystem : IDisposable
{
    private static readonly (KvmCap Capability, string Purpose)[] Required =
    [
        (KvmCap.UserMemory, "guest memory from user space"),
        (KvmCap.ExtCpuid, "CPUID tables"),
        (KvmCap.ImmediateExit, "immediate exit"),
        (KvmCap.ReadonlyMem, "read-only memory"),
        (KvmCap.VcpuEvents, "access to pending events"),
        (KvmCap.Debugregs, "access to debug registers"),
        (KvmCap.Xsave, "access to floating-point state"),
        (KvmCap.X86UserSpaceMsr, "MSR accesses in user space"),
        (KvmCap.X86MsrFilter, "MSR filters"),
    ];

    private readonly KvmDescriptor _descriptor;

    private KvmSystem(KvmDescriptor descriptor, int runSize)
    {
        _descriptor = descriptor;
        RunSize = runSize;
    }

    /// <summary>The length in bytes of a vCPU's shared pages.</summary>
    public int RunSize { get; }

    /// <summary>Opens KVM.</summary>
    /// <param name="path">The device, <c>/dev/kvm</c>.</param>
    /// <param name="system">The open system.</param>
    /// <param name="reason">Why not, for people.</param>
    public static bool TryOpen(string path, out KvmSystem? system, out string? reason)
    {
        system = null;
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            reason = "KVM runs x86-64 guests on x86-64 Linux only.";
            return false;
        }

        int number = Libc.open(path, Libc.ORdwr | Libc.OCloexec);
        if (number < 0)
        {
            int error = Marshal.GetLastPInvokeError();
            reason = error switch
            {
                Libc.Enoent or Libc.Enxio or Libc.Enodev => $"{path} is missing: the kernel has no KVM, the processor's virtualization is off in firmware, or the container hides it.",
                Libc.Eacces or Libc.Eperm => $"{path} may not be opened: add the user to the group that owns it (mostly 'kvm').",
                _ => $"{path} cannot be opened: {Libc.Message(error)}.",
            };
            return false;
        }

        var descriptor = new KvmDescriptor(number);
        reason = FindLack(descriptor, path);
        int runSize = reason is null ? descriptor.TryCall(KvmIoctl.GetVcpuMmapSize, 0) : 0;
        if (reason is null && runSize < sizeof(KvmRun))
            reason = $"{path} offers {runSize} bytes of shared state; at least {sizeof(KvmRun)} are needed.";
        if (reason is not null)
        {
            descriptor.Dispose();
            return false;
        }

        system = new KvmSystem(descriptor, runSize);
        return true;
    }

    /// <summary>What the kernel says about a capability: 0 where it lacks it.</summary>
    public int Check(KvmCap capability) => Math.Max(_descriptor.TryCall(KvmIoctl.CheckExtension, (nint)capability), 0);

    public KvmDescriptor CreateVm() => new(_descriptor.Call(KvmIoctl.CreateVm, 0, "create a virtual machine"));

    /// <summary>The CPUID answers that KVM can give a guest on this host.</summary>
    public CpuidEntry[] ReadSupportedCpuid() => KvmCpuid.Read(_descriptor, KvmIoctl.GetSupportedCpuid);

    /// <summary>The MSRs that KVM saves and restores on this host.</summary>
    public uint[] ReadMsrList()
    {
        uint[] list = new uint[1025];
        list[0] = (uint)list.Length - 1;
        // SAFETY: the list has room for the number that its head tells the kernel.
        fixed (uint* pointer = list)
            _descriptor.Call(KvmIoctl.GetMsrIndexList, (nint)pointer, "list its MSRs");
        return list[1..(int)(1 + list[0])];
    }

    public void Dispose() => _descriptor.Dispose();

    private static string? FindLack(KvmDescriptor descriptor, string path)
    {
        int version = descriptor.TryCall(KvmIoctl.GetApiVersion, 0);
        if (version != KvmIoctl.ApiVersion)
            return version < 0 ? $"{path} is not KVM." : $"{path} speaks version {version} of the interface; {KvmIoctl.ApiVersion} is needed.";
        return FindLack(capability => descriptor.TryCall(KvmIoctl.CheckExtension, (nint)capability));
    }

    /// <summary>Names what the engine cannot do without and the kernel does not have.</summary>
    /// <param name="check">What the kernel says about a capability.</param>
    internal static string? FindLack(Func<KvmCap, int> check)
    {
        string[] lacking = [.. Required.Where(r => check(r.Capability) <= 0).Select(r => $"{r.Purpose} (capability {(uint)r.Capability})")];
        return lacking.Length == 0 ? null : $"The kernel's KVM lacks {string.Join(", ", lacking)}.";
    }
}
