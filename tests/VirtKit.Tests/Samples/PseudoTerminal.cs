using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VirtKit.Tests.Samples;

/// <summary>A terminal whose keys and screen the test holds. Output that it does not read stands still, as on a terminal stopped by Ctrl-S.</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int OpenReadWrite = 2, OpenWithoutControl = 0x100, CloseOnExecute = 0x80000;
    private const nuint BytesToRead = 0x541b;

    private readonly SafeFileHandle _controller;
    private readonly FileStream _keys;

    public PseudoTerminal()
    {
        _controller = new SafeFileHandle(posix_openpt(OpenReadWrite | OpenWithoutControl | CloseOnExecute), ownsHandle: true);
        byte[] name = new byte[64];
        if (_controller.IsInvalid || grantpt(_controller) != 0 || unlockpt(_controller) != 0 || ptsname_r(_controller, name, (nuint)name.Length) != 0)
            Assert.Skip("The host makes no pseudo-terminal.");
        _keys = new FileStream(_controller, FileAccess.ReadWrite, bufferSize: 0);
        Path = System.Text.Encoding.ASCII.GetString(name).TrimEnd('\0');
    }

    /// <summary>The device that a program has as its terminal.</summary>
    public string Path { get; }

    /// <summary>How many bytes of output wait to be read.</summary>
    public int Waiting => ioctl(_controller, BytesToRead, out int count) == 0 ? count : 0;

    public void Type(ReadOnlySpan<byte> keys) => _keys.Write(keys);

    /// <summary>Reads the screen until a text has come, or the time is over.</summary>
    /// <returns>What was read.</returns>
    public string ReadTo(string text, TimeSpan limit)
    {
        var seen = new System.Text.StringBuilder();
        byte[] buffer = new byte[4096];
        for (var time = System.Diagnostics.Stopwatch.StartNew(); time.Elapsed < limit && !seen.ToString().Contains(text, StringComparison.Ordinal);)
        {
            if (Waiting > 0)
                seen.Append(System.Text.Encoding.Latin1.GetString(buffer, 0, _keys.Read(buffer)));
            else
                Thread.Sleep(20);
        }

        return seen.ToString();
    }

    public void Dispose() => _keys.Dispose();

    [LibraryImport("libc")]
    private static partial int posix_openpt(int flags);

    [LibraryImport("libc")]
    private static partial int grantpt(SafeFileHandle controller);

    [LibraryImport("libc")]
    private static partial int unlockpt(SafeFileHandle controller);

    [LibraryImport("libc")]
    private static partial int ptsname_r(SafeFileHandle controller, byte[] name, nuint length);

    [LibraryImport("libc")]
    private static partial int ioctl(SafeFileHandle controller, nuint request, out int value);
}
