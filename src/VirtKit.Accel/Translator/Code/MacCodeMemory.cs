using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace VirtKit.Accel.Translator.Code;

/// <summary>Anonymous memory and a second mapping of the same pages that the kernel makes of it.</summary>
[SupportedOSPlatform("macos")]
internal sealed unsafe partial class MacCodeMemory : ICodeMemory
{
    // <mach/vm_prot.h>, <mach/vm_statistics.h>, <sys/mman.h>.
    private const int ProtRead = 1, ProtWrite = 2, ProtExec = 4, MapPrivate = 2, MapAnonymous = 0x1000, FlagsAnywhere = 1, InheritNone = 2;

    public MacCodeMemory(int length)
    {
        Length = length;
        nint address = mmap(0, (nuint)length, ProtRead | ProtWrite, MapPrivate | MapAnonymous, -1, 0);
        if (address == -1)
            throw new VirtKitException("the host refuses memory for code.");
        Writable = (byte*)address;
        nint second = 0;
        int error = mach_vm_remap(mach_task_self(), &second, (ulong)length, 0, FlagsAnywhere, mach_task_self(), address, 0, out _, out _, InheritNone);
        if (error == 0)
            Executable = (byte*)second;
        if (error != 0 || mprotect(second, (nuint)length, ProtRead | ProtExec) != 0)
        {
            Dispose();
            throw new VirtKitException("the host refuses executable memory for code; a signed host needs the entitlement com.apple.security.cs.allow-unsigned-executable-memory.");
        }
    }

    public byte* Writable { get; private set; }

    public byte* Executable { get; private set; }

    public int Length { get; }

    /// <summary>Of a machine that nobody disposed of.</summary>
    ~MacCodeMemory() => Release();

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (Writable != null)
            _ = munmap((nint)Writable, (nuint)Length);
        if (Executable != null)
            _ = munmap((nint)Executable, (nuint)Length);
        Writable = Executable = null;
    }

    [LibraryImport("libSystem")]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libSystem")]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libSystem")]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libSystem")]
    private static partial uint mach_task_self();

    [LibraryImport("libSystem")]
    private static partial int mach_vm_remap(
        uint target, nint* address, ulong size, ulong mask, int flags, uint source, nint sourceAddress, int copy, out int current, out int maximum, int inheritance);
}
