using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Storage;
using VirtKit.Samples.BootLinux.Terminal;
using VirtKit.State;

namespace VirtKit.Samples.BootLinux;

/// <summary>One run of the sample: a board with the guest on it, connected to this process's terminal.</summary>
internal sealed class BootSession : IDisposable
{
    /// <summary>The exit code where the machine stopped for another reason than the guest's power-off, as sysexits.h has it.</summary>
    private const int SoftwareError = 70;
    private const int Interrupted = 130;

    /// <summary>How long a terminal that stands still holds up the last lines when the user has left.</summary>
    private static readonly TimeSpan ReportLimit = TimeSpan.FromSeconds(1);

    private readonly BootOptions _options;
    private readonly Guest _guest;
    private readonly List<IBlockBackend> _disks = [];
    private readonly List<FileBlockBackend> _images = [];
    private readonly CancellationTokenSource _leave = new();
    private readonly OutputLog _log = new();
    private readonly StreamConsole _terminal;
    private readonly GuestConsoles _consoles;
    private readonly GuestBoard _board;
    private readonly Stopwatch _time = new();
    private TimeSpan? _timeToInit;
    private readonly SortedDictionary<string, int> _byHand = [];
    private int _leaveCode;

    public BootSession(BootOptions options, Guest guest)
    {
        _options = options;
        _guest = guest;
        bool command = options.Run is not null;
        Stream output = Console.OpenStandardOutput();
        // Not the console's own stream, which edits lines where it reads from a terminal.
        Stream? input = command ? null : new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
        if (input is not null && RawTerminal.IsPresent)
            input = new EscapeStream(input, () => Leave(0), options.Save is null ? null : () => Save(options.Save));
        _terminal = new StreamConsole(input, output);
        _consoles = new GuestConsoles(_terminal, command ? _log.Append : _terminal.Write, () => _timeToInit ??= _time.Elapsed)
        {
            KeysToVirtio = guest.Kind == GuestKind.Debian,
        };
        foreach (FileInfo disk in options.Disks)
            _disks.Add(options.IsRecorded ? Overlay(disk) : new FileBlockBackend(disk.FullName));
        if (guest.Kind == GuestKind.Default && _disks.Count == 0)
            _disks.Add(ScratchDisk());
        _board = GuestBoard.Create(options, _consoles, _disks, CommandLine());
    }

    /// <summary>Boots, and boots again when the guest asks for it.</summary>
    /// <returns>The process's exit code.</returns>
    public int Run()
    {
        using RawTerminal? terminal = _options.Run is null ? RawTerminal.TryEnter(() => Leave(Interrupted)) : null;
        terminal?.WatchSize(_terminal.Resize);
        VcpuExit exit;
        bool restored = false;
        _time.Start();
        while (true)
        {
            if (_options.Replay is { } recorded)
                Replay(recorded);
            else if (_options.Restore is { } saved && !restored)
                Restore(saved);
            else
                _board.Load(_guest);
            if (_options.Record is not null && !restored)
                _board.Machine.StartRecording();
            restored = true;
            exit = Run(_leave.Token);
            EndRecording();
            if (exit.Reason != ExitReason.Reset || _options.Run is not null || _options.Replay is not null)
                break;
            _board.Machine.Reset();
        }

        _time.Stop();
        // A terminal or pipe that stands still is waited for as by every program, but not against the user's will.
        while (!_leave.IsCancellationRequested && !_consoles.Flush(TimeSpan.FromMilliseconds(100)))
        {
        }

        terminal?.Dispose();
        var report = Task.Run(() => Report(exit));
        return !_leave.IsCancellationRequested || report.Wait(ReportLimit) ? report.GetAwaiter().GetResult() : _leaveCode;
    }

    /// <summary>Runs until the host cannot go on. What the engine leaves to the host and the host can carry out is resumed.</summary>
    private VcpuExit Run(CancellationToken leave)
    {
        while (true)
        {
            VcpuExit exit = _board.Machine.Run(leave);
            if (_board.TryFinish(exit) is not { } instruction)
                return exit;
            _byHand[instruction] = _byHand.GetValueOrDefault(instruction) + 1;
        }
    }

    /// <summary>Saves the machine between two instructions, from the thread that reads the keys.</summary>
    private void Save(FileInfo file)
    {
        try
        {
            var time = Stopwatch.StartNew();
            using MachineSnapshot snapshot = _board.Machine.Capture();
            snapshot.SaveAsync(file.FullName).GetAwaiter().GetResult();
            Console.Error.Write($"\r\nSaved to {file.Name} in {time.ElapsedMilliseconds} ms.\r\n");
        }
        catch (Exception e) when (e is VirtKitException or IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            Console.Error.Write($"\r\nNot saved: {e.Message}\r\n");
        }
    }

    private void Restore(FileInfo file)
    {
        using MachineSnapshot snapshot = MachineSnapshot.LoadAsync(file.FullName).GetAwaiter().GetResult();
        _board.Machine.Restore(snapshot);
    }

    private void Replay(FileInfo file)
    {
        using MachineRecording recording = MachineRecording.LoadAsync(file.FullName).GetAwaiter().GetResult();
        _board.Machine.Replay(recording);
    }

    /// <summary>Saves the recording at the run's end, or where the guest resets the machine: what is loaded then is the host's doing, and not recorded.</summary>
    private void EndRecording()
    {
        if (!_board.Machine.IsRecording)
            return;
        using MachineRecording recording = _board.Machine.StopRecording();
        recording.SaveAsync(_options.Record!.FullName).GetAwaiter().GetResult();
        Console.Error.Write($"\r\nRecorded {recording.LastInstruction - recording.FirstInstruction} instructions into {_options.Record.Name}, with {recording.LogSize} bytes of input.\r\n");
    }

    public void Dispose()
    {
        _board.Dispose();
        _terminal.Dispose();
        foreach (IDisposable disk in _disks.OfType<IDisposable>())
            disk.Dispose();
        _images.ForEach(image => image.Dispose());
        _leave.Dispose();
    }

    private string CommandLine()
    {
        if (_guest.Kind == GuestKind.Default)
            return _options.Append;
        bool x64 = _options.Guest == BootOptions.X64Guest;
        // A command's guest has nobody to look at its last words: it resets, and the log is told.
        string messages = _options.Run is not null ? "quiet panic=-1" : _options.Quiet ? "quiet" : x64 ? "earlyprintk=serial,ttyS0" : "earlycon=sbi";
        string forHost = x64 && _options.Cpu == CpuName.Nested ? NestedHost.KernelOptions : "";
        if (forHost.Length > 0 && !_options.Quiet)
            Console.Error.WriteLine($"--cpu {CpuName.Nested} adds to the kernel's command line: {forHost}");
        return string.Join(' ', ((string[])["console=ttyS0", messages, forHost, _options.Append]).Where(part => part.Length > 0));
    }

    private int Report(VcpuExit exit)
    {
        ulong retired = _board.Machine.Vcpus.Aggregate(0UL, (sum, vcpu) => sum + vcpu.Counters.Retired);
        if (exit.Reason == ExitReason.Kicked)
            Console.Error.WriteLine(); // The cursor stands where the guest left it.
        string init = _timeToInit is { } time ? time.TotalSeconds.ToString("0.00", CultureInfo.InvariantCulture) : "-";
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"retired={retired} seconds={_time.Elapsed.TotalSeconds:0.00} init={init} engine={_options.Engine}"));
        Console.Error.WriteLine(GuestTime.Describe(_options.Time, _board.Machine, _time.Elapsed.TotalSeconds));
        if (_byHand.Count > 0)
            Console.Error.WriteLine($"Instructions that the engine left to the host and the host carried out: {string.Join(", ", _byHand.Select(i => $"{i.Key} {i.Value}"))}");
        if (exit.Reason == ExitReason.ReplayEnded)
        {
            Console.Error.WriteLine("The recording is at its end.");
            return 0;
        }

        if (exit.Reason == ExitReason.Shutdown)
            return (int)Math.Min(exit.Code, 255);
        if (exit.Reason == ExitReason.Kicked)
            return _leaveCode;
        using (Stream error = Console.OpenStandardError())
            error.Write(_log.ToArray());
        Console.Error.WriteLine($"The guest did not power off: {exit.Reason}. {exit.Detail}".TrimEnd());
        return SoftwareError;
    }

    private void Leave(int code)
    {
        _leaveCode = code;
        _leave.Cancel();
    }

    private OverlayBlockBackend Overlay(FileInfo disk)
    {
        var image = new FileBlockBackend(disk.FullName, BlockAccess.ReadOnly);
        _images.Add(image);
        return new OverlayBlockBackend(image);
    }

    private static MemoryBlockBackend ScratchDisk()
    {
        byte[] content = new byte[1 << 20];
        "VirtKit scratch disk"u8.CopyTo(content);
        return new MemoryBlockBackend(content);
    }
}
