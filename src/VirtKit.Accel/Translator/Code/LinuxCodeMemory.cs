using System.Runtime.InteropServices;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Accel.Translator.Code;

/// <summary>A memory file mapped twice.</summary>
internal sealed unsafe class LinuxCodeMemory : ICodeMemory
{
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
}
