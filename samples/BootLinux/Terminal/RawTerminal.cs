using System.Runtime.InteropServices;
using VirtKit.Devices.Consoles;

namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>The process's terminal in raw mode: keys go to the guest one by one and unchanged. The old mode comes back on every way out: disposal, a signal,
/// an exception nobody caught, the end of the process.</summary>
internal sealed partial class RawTerminal : IDisposable
{
    private const int Input = 0, Output = 1, Now = 0, GetWindowSize = 0x5413;

    private readonly TerminalMode _before;
    private readonly List<PosixSignalRegistration> _signals = [];
    private int _restored;

    private RawTerminal(TerminalMode before, Action stop)
    {
        _before = before;
        AppDomain.CurrentDomain.ProcessExit += OnProcessEnd;
        AppDomain.CurrentDomain.UnhandledException += OnProcessEnd;
        foreach (PosixSignal signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT])
        {
            _signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                Restore();
                stop();
            }));
        }

        TerminalMode raw = before;
        cfmakeraw(ref raw);
        _ = tcsetattr(Input, Now, raw);
    }

    /// <summary>Whether keys and screen are a terminal of this process.</summary>
    public static bool IsPresent => OperatingSystem.IsLinux() && tcgetattr(Input, out _) == 0 && tcgetattr(Output, out _) == 0;

    /// <summary>Switches to raw mode.</summary>
    /// <param name="stop">Called on a signal that ends the process; the machine is to stop.</param>
    public static RawTerminal? TryEnter(Action stop) => IsPresent && tcgetattr(Input, out TerminalMode mode) == 0 ? new RawTerminal(mode, stop) : null;

    /// <summary>Tells the terminal's size now and after each change.</summary>
    public void WatchSize(Action<ConsoleSize> changed)
    {
        if (OperatingSystem.IsWindows())
            return;
        Report();
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Report()));

        void Report()
        {
            if (ioctl(Output, GetWindowSize, out WindowSize size) == 0)
                changed(new ConsoleSize(size.Columns, size.Rows));
        }
    }

    public void Dispose()
    {
        AppDomain.CurrentDomain.ProcessExit -= OnProcessEnd;
        AppDomain.CurrentDomain.UnhandledException -= OnProcessEnd;
        Restore();
        foreach (PosixSignalRegistration signal in _signals)
            signal.Dispose();
    }

    private void OnProcessEnd(object? sender, EventArgs arguments) => Restore();

    private void Restore()
    {
        if (Interlocked.Exchange(ref _restored, 1) == 0)
            _ = tcsetattr(Input, Now, _before);
    }

    /// <summary>struct termios, opaque; the C library's is 60 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    private struct TerminalMode
    {
        private byte _first;
    }

    /// <summary>struct winsize.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct WindowSize
    {
        public ushort Rows, Columns, Width, Height;
    }

    [LibraryImport("libc")]
    private static partial int tcgetattr(int descriptor, out TerminalMode mode);

    [LibraryImport("libc")]
    private static partial int tcsetattr(int descriptor, int action, in TerminalMode mode);

    [LibraryImport("libc")]
    private static partial void cfmakeraw(ref TerminalMode mode);

    [LibraryImport("libc")]
    private static partial int ioctl(int descriptor, nuint request, out WindowSize size);
}
