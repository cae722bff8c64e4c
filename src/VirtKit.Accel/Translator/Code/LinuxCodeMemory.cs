using System.Runtime.InteropServices;

namespace VirtKit.Accel.Translator.Code;

/// <summary>A memory file mapped twice.</summary>
internal sealed unsafe partial class LinuxCodeMemory : ICodeMemory
{
    // Linux ABI on x86-64, <sys/mman.h>.
    private const int ProtRead = 1, ProtWrite = 2, ProtExec = 4, MapShared = 1, MapNoReserve = 0x4000;
    private const uint MfdCloexec = 1;

    public LinuxCodeMemory(int length)
    {
        Length = length;
        int descriptor = memfd_create("virtkit-code", MfdCloexec);
        if (descriptor < 0)
            throw Failure("a memory file");
        try
        {
            if (ftruncate(descriptor, length) != 0)
                throw Failure("a memory file");
            Writable = Map(descriptor, ProtRead | ProtWrite);
            Executable = Map(descriptor, ProtRead | ProtExec);
        }
        catch
        {
            Dispose();
            throw;
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    public byte* Writable { get; private set; }

    public byte* Executable { get; private set; }

    public int Length { get; }

    /// <summary>Of a machine that nobody disposed of.</summary>
    ~LinuxCodeMemory() => Release();

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

    private byte* Map(int descriptor, int protection)
    {
        nint address = mmap(0, (nuint)Length, protection, MapShared | MapNoReserve, descriptor, 0);
        return address == -1 ? throw Failure(protection == (ProtRead | ProtExec) ? "executable memory" : "memory") : (byte*)address;
    }

    private static VirtKitException Failure(string what) =>
        new($"the host refuses {what} for code: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

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
