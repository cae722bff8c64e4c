using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace VirtKit.Accel.Translator.Code;

/// <summary>A section backed by the paging file, mapped twice.</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class WindowsCodeMemory : ICodeMemory
{
    private const uint PageExecuteReadWrite = 0x40;
    private const uint FileMapWrite = 2, FileMapRead = 4, FileMapExecute = 0x20;

    public WindowsCodeMemory(int length)
    {
        Length = length;
        nint section = CreateFileMappingW(-1, 0, PageExecuteReadWrite, 0, (uint)length, 0);
        if (section == 0)
            throw Failure();
        try
        {
            Writable = (byte*)MapViewOfFile(section, FileMapWrite, 0, 0, (nuint)length);
            Executable = (byte*)MapViewOfFile(section, FileMapRead | FileMapExecute, 0, 0, (nuint)length);
            if (Writable == null || Executable == null)
                throw Failure();
        }
        catch
        {
            Dispose();
            throw;
        }
        finally
        {
            _ = CloseHandle(section);
        }
    }

    public byte* Writable { get; private set; }

    public byte* Executable { get; private set; }

    public int Length { get; }

    /// <summary>Of a machine that nobody disposed of.</summary>
    ~WindowsCodeMemory() => Release();

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (Writable != null)
            _ = UnmapViewOfFile((nint)Writable);
        if (Executable != null)
            _ = UnmapViewOfFile((nint)Executable);
        Writable = Executable = null;
    }

    private static VirtKitException Failure() =>
        new($"the host refuses executable memory for code: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint CreateFileMappingW(nint file, nint security, uint protection, uint sizeHigh, uint sizeLow, nint name);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint MapViewOfFile(nint section, uint access, uint offsetHigh, uint offsetLow, nuint length);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial int UnmapViewOfFile(nint address);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial int CloseHandle(nint handle);
}
