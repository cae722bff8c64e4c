using System.Diagnostics;
using VirtKit.Devices.Consoles;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A shell of the host on a terminal of its own, behind a console as a guest's would be. It may slip kernel messages between any two bytes of output.</summary>
internal sealed class HostShell : IDisposable
{
    private readonly Process _process;
    private readonly MemoryConsole _console;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="script">The program script of util-linux, which makes the terminal.</param>
    /// <param name="command">The shell.</param>
    /// <param name="console">Where it is to be found.</param>
    /// <param name="kernelMessageEvery">After so many bytes of output comes a message; 0 for none.</param>
    public HostShell(string script, string command, MemoryConsole console, int kernelMessageEvery = 0)
    {
        _console = console;
        _process = Process.Start(new ProcessStartInfo(script, ["-qfec", command, "/dev/null"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["PS1"] = "[prompt]$ ", ["TERM"] = "vt100", ["HISTFILE"] = "/dev/null" },
        })!;
        console.Changed += Feed;
        Ended = console.Follow(Task.Run(() => Pump(kernelMessageEvery)));
    }

    /// <summary>How it ended, as if it were a machine.</summary>
    public Task<VcpuExit> Ended { get; }

    public void Dispose()
    {
        _console.Changed -= Feed;
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        _stop.Dispose();
    }

    private void Feed()
    {
        byte[] typed = new byte[4096];
        lock (_process)
        {
            for (int count; (count = _console.Read(typed)) > 0;)
            {
                _process.StandardInput.BaseStream.Write(typed, 0, count);
                _process.StandardInput.BaseStream.Flush();
            }
        }
    }

    private VcpuExit Pump(int kernelMessageEvery)
    {
        byte[] bytes = new byte[4096];
        long written = 0;
        for (int count; (count = _process.StandardOutput.BaseStream.Read(bytes)) > 0;)
        {
            foreach (byte b in bytes.AsSpan(0, count))
            {
                _console.Write([b]);
                if (kernelMessageEvery > 0 && ++written % kernelMessageEvery == 0)
                    _console.Write("[   12.345678] usb 1-1: a message <virtkit-1> of 7 words\r\n"u8);
            }
        }

        _process.WaitForExit();
        return new VcpuExit(ExitReason.Shutdown, (uint)_process.ExitCode);
    }
}
