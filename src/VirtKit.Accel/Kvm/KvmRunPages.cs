using System.Runtime.InteropServices;

namespace VirtKit.Accel.Kvm;

/// <summary>The pages that a vCPU shares with the kernel, mapped.</summary>
internal sealed unsafe class KvmRunPages : SafeHandle
{
    private readonly nuint _size;

    /// <exception cref="VirtKitException">The host refuses.</exception>
    public KvmRunPages(int index, KvmDescriptor vcpu, int size) : base(-1, ownsHandle: true)
    {
        _size = (nuint)size;
        SetHandle(Libc.mmap(0, _size, Libc.ProtRead | Libc.ProtWrite, Libc.MapShared, vcpu.Number, 0));
        if (IsInvalid)
            throw new VirtKitException($"vCPU {index} cannot share its state: {Libc.Message(Marshal.GetLastPInvokeError())}.");
    }

    /// <summary>The kernel's structure at the start of the mapping. Valid until this object is disposed of.</summary>
    public KvmRun* Run => (KvmRun*)handle;

    public override bool IsInvalid => handle == -1;

    protected override bool ReleaseHandle() => Libc.munmap(handle, _size) == 0;
}
