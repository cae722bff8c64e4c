using System.Runtime.InteropServices;

namespace VirtKit.Memory;

/// <summary>Linux's system calls for memory.</summary>
internal static partial class LinuxMemory
{
    // Linux ABI, <sys/mman.h>; the values are the same on x86-64, Arm64 and RISC-V.
    public const int ProtRead = 1, ProtWrite = 2, ProtExec = 4, MapShared = 1, MapPrivate = 2, MapFixed = 0x10, MapAnonymous = 0x20, MapNoReserve = 0x4000;
    public const int MremapMayMove = 1, MremapFixed = 2;
    public const int MadvDontNeed = 4;
    public const uint MfdCloexec = 1;
    public const int SeekData = 3, SeekHole = 4;

    public const int FallocateKeepSize = 1, FallocatePunchHole = 2;

    /// <summary>ENXIO, <c>lseek</c>'s answer where no data follows.</summary>
    public const int NoSuchAddress = 6;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ftruncate(int descriptor, long length);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int fallocate(int descriptor, int mode, long offset, long length);

    /// <summary>The one form of <c>ioctl</c> that is used here: with a pointer.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static unsafe partial int ioctl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint mremap(nint address, nuint oldLength, nuint newLength, int flags, nint newAddress);

    [LibraryImport("libc", SetLastError = true)]
    public static partial long lseek(int descriptor, long offset, int whence);

    [LibraryImport("libc", SetLastError = true)]
    public static unsafe partial nint pwrite(int descriptor, byte* bytes, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int descriptor);
}
