using System.Runtime.InteropServices;

namespace VirtKit.Accel.Kvm;

/// <summary>The system calls of this engine. Constants are Linux's on x86-64.</summary>
internal static unsafe partial class Libc
{
    public const int Eintr = 4, Enoent = 2, Enxio = 6, E2big = 7, Ebadf = 9, Eagain = 11, Eacces = 13, Enodev = 19, Einval = 22, Eperm = 1;
    public const int ORdwr = 2, OCloexec = 0x80000;
    public const int ProtRead = 1, ProtWrite = 2, MapShared = 1;
    public const int SigBlock = 0;
    public const int EfdCloexec = 0x80000, EfdNonblock = 0x800;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int descriptor, nuint request, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc")]
    public static partial int gettid();

    [LibraryImport("libc")]
    public static partial int tgkill(int process, int thread, int signal);

    /// <param name="how">How to combine.</param>
    /// <param name="set">128 bytes, as every set below.</param>
    /// <param name="old">Where the set before goes.</param>
    [LibraryImport("libc")]
    public static partial int pthread_sigmask(int how, ulong* set, ulong* old);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int sigtimedwait(ulong* set, void* info, long* timeout);

    /// <summary>The text of an error number with its number.</summary>
    public static string Message(int error) => $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error})";
}
