using System.Runtime.InteropServices;

namespace VirtKit.Memory;

/// <summary>Page-aligned, zeroed, lazily committed native memory: a memfd mapping on Linux, so that a hypervisor maps it and a fork shares it; elsewhere the
/// allocator's pages. Freed when the last owner disposes it.</summary>
internal sealed unsafe partial class HostMemory : SafeHandle
{
    private readonly nuint _length;
    private readonly bool _mapped;

    private HostMemory(byte* pointer, nuint length, bool mapped, int descriptor) : base(0, ownsHandle: true)
    {
        SetHandle((nint)pointer);
        _length = length;
        _mapped = mapped;
        FileDescriptor = descriptor;
        GC.AddMemoryPressure(4096);
    }

    public byte* Pointer => (byte*)handle;

    /// <summary>The memfd, or -1 where the host has none.</summary>
    public int FileDescriptor { get; }

    public override bool IsInvalid => handle == 0;

    public static HostMemory Allocate(ulong length)
    {
        if (OperatingSystem.IsLinux())
        {
            int descriptor = memfd_create("virtkit", MfdCloexec);
            if (descriptor >= 0 && ftruncate(descriptor, (long)length) == 0)
            {
                nint address = mmap(0, (nuint)length, ProtRead | ProtWrite, MapShared | MapNoReserve, descriptor, 0);
                if (address != -1)
                    return new HostMemory((byte*)address, (nuint)length, mapped: true, descriptor);
            }

            int error = Marshal.GetLastPInvokeError();
            if (descriptor >= 0)
                _ = close(descriptor);
            throw new VirtKitException($"The host cannot map {length} bytes of guest memory: {Marshal.GetPInvokeErrorMessage(error)}.");
        }

        try
        {
            void* pointer = NativeMemory.AlignedAlloc((nuint)length, 4096);
            NativeMemory.Clear(pointer, (nuint)length);
            return new HostMemory((byte*)pointer, (nuint)length, mapped: false, -1);
        }
        catch (OutOfMemoryException e)
        {
            throw new VirtKitException($"The host cannot allocate {length} bytes of guest memory.", e);
        }
    }

    protected override bool ReleaseHandle()
    {
        GC.RemoveMemoryPressure(4096);
        if (!_mapped)
        {
            NativeMemory.AlignedFree((void*)handle);
            return true;
        }

        bool unmapped = munmap(handle, _length) == 0;
        return close(FileDescriptor) == 0 && unmapped;
    }

    // Linux ABI, <sys/mman.h>; the values are the same on x86-64, Arm64 and RISC-V.
    private const int ProtRead = 1, ProtWrite = 2, MapShared = 1, MapNoReserve = 0x4000;
    private const uint MfdCloexec = 1;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(int descriptor, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);
}
