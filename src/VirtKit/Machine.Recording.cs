using System.IO.Hashing;
using VirtKit.Engines;
using VirtKit.Scheduling;
using VirtKit.State;
using VirtKit.Time;

namespace VirtKit;

/// <summary>Recording a deterministic run, and repeating it, forwards and backwards.</summary>
public sealed partial class Machine
{
    private MachineSnapshot? _recordedFrom;
    private ReplaySession? _replay;
    private readonly RecordedHypercalls _recordedHypercalls;

    /// <summary>How many instructions all vCPUs together have retired, with <see cref="VcpuScheduling.Deterministic"/>: the unit in which <see cref="GoTo"/> counts. A restored machine
    /// has the captured one's. The machine is not running.</summary>
    /// <exception cref="InvalidOperationException">With <see cref="VcpuScheduling.Threads"/>, or the machine is running.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public ulong Retired
    {
        get
        {
            using MachineHold hold = Hold("Machine.Retired");
            return Virtual.Instructions;
        }
    }

    /// <summary>Whether a recording is under way.</summary>
    public bool IsRecording => Clock.Journal is InputRecorder;

    /// <summary>Whether a recorded run is repeated.</summary>
    public bool IsReplaying => Clock.Journal is InputReplay;

    private VirtualClock Virtual => Clock as VirtualClock
        ?? throw new InvalidOperationException($"Instructions are counted, and runs recorded, with {nameof(VcpuScheduling)}.{nameof(VcpuScheduling.Deterministic)} only.");

    /// <summary>Begins to write down what comes into the machine from outside: input of consoles, frames, answers to hypercalls, and all else that devices take through a
    /// <see cref="MachineInput"/>. A machine that runs is captured between two instructions, and goes on; the guest sees nothing of it.</summary>
    /// <remarks>What the host changes by itself is not recorded: until <see cref="StopRecording"/>, operations that change the machine (<see cref="Reset"/>, <see cref="Restore"/>,
    /// <see cref="Vcpu.SetState"/>, <see cref="Vcpu.Run"/>) are refused, and memory is left alone. A disk that is a file must have the same content when the run is
    /// repeated; an overlay is part of the recording.</remarks>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="InvalidOperationException">The machine is recorded or repeats a run already; or its scheduling is <see cref="VcpuScheduling.Threads"/>; or this is called from a
    /// callback of the machine.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    /// <exception cref="VirtKitException">A device cannot be saved.</exception>
    public void StartRecording(RecordingOptions? options = null)
    {
        options ??= new RecordingOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxLogSize, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MaxLogSize, 1L << 30, nameof(options));
        DoBetweenSlices("Machine.StartRecording", () =>
        {
            VirtualClock clock = Virtual;
            RefuseWhileRecorded("Machine.StartRecording");
            MachineSnapshot start = MachineSnapshot.Of(this);
            clock.Journal = new InputRecorder(clock.Moment, Digest, options.MaxLogSize);
            _recordedFrom = start;
        });
    }

    /// <summary>Ends the recording: between two instructions, where the machine runs.</summary>
    /// <returns>The recording, which the caller disposes of.</returns>
    /// <exception cref="InvalidOperationException">The machine is not recorded, or this is called from a callback of it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public MachineRecording StopRecording()
    {
        MachineRecording? recording = null;
        DoBetweenSlices("Machine.StopRecording", () =>
        {
            if (Clock.Journal is not InputRecorder recorder)
                throw new InvalidOperationException("The machine is not recorded.");
            // What was announced before is in it.
            _scheduler.Drain();
            InputLog log = recorder.End(Virtual.Moment);
            Clock.Journal = null;
            recording = new MachineRecording(Interlocked.Exchange(ref _recordedFrom, null)!, log, recorder.IsCut);
        });
        return recording!;
    }

    /// <summary>Goes to the beginning of a recording, whose run the machine then repeats: <see cref="Run(CancellationToken)"/> comes to the same console output, instruction counts and
    /// memory, on either software engine, and ends with <see cref="ExitReason.ReplayEnded"/>; from there on the machine goes on by itself. Input of the live outside waits until then,
    /// and frames that the guest sends go nowhere.</summary>
    /// <param name="recording">The recording, of a machine that was composed like this one. It may be disposed of afterwards.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="InvalidSnapshotException">It is of a machine composed otherwise; or something came into that by an action that was posted without an input, which cannot be
    /// repeated. Nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or recorded, or its scheduling is <see cref="VcpuScheduling.Threads"/>.</exception>
    /// <exception cref="ObjectDisposedException">The machine or the recording has been disposed of.</exception>
    public void Replay(MachineRecording recording, ReplayOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recording);
        options ??= new ReplayOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.CheckpointMemory, nameof(options));
        ArgumentOutOfRangeException.ThrowIfZero(options.CheckpointDistance, nameof(options));
        using MachineHold hold = Hold("Machine.Replay");
        VirtualClock clock = Virtual;
        if (IsRecording)
            RefuseWhileRecorded("Machine.Replay");
        if (!recording.IsWhole)
            throw new InvalidSnapshotException("The recording cannot be repeated: somebody posted an action without an input while it was made.");
        // Outside stays as it is while the log plays.
        var replay = new InputReplay(recording.Log, Digest, clock.InputOf, clock.Repeat) { IsHeld = true };
        InputJournal? before = clock.Journal;
        clock.Journal = replay;
        try
        {
            recording.Start.ApplyTo(this, RestoreKind.Replay);
        }
        catch
        {
            clock.Journal = before;
            replay.PassedOver.ForEach(input => input.Announce());
            throw;
        }

        replay.IsHeld = false;
        replay.PassedOver.Clear();
        _replay?.Dispose();
        _replay = new ReplaySession(this, replay, options);
        _replay.Keep();
    }

    /// <summary>Ends the repetition where the machine is: it goes on by itself from here, with what the live outside has for it.</summary>
    /// <exception cref="InvalidOperationException">No run is repeated, or the machine is running.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void EndReplay()
    {
        using MachineHold hold = Hold("Machine.EndReplay");
        RequireReplay("Machine.EndReplay");
        EndReplayOwned();
    }

    /// <summary>Goes to a place of the run that is repeated, forwards or backwards: behind so many instructions of all vCPUs, and what came in there. Checkpoints on the way make the
    /// next move short; the guest's console output of a place is only passed on the first time.</summary>
    /// <param name="instruction">The number of instructions (<see cref="Retired"/>), from <see cref="MachineRecording.FirstInstruction"/> on. Behind the recording's end there is
    /// nothing.</param>
    /// <param name="cancellationToken">Stops it on the way, with the state of that place.</param>
    /// <returns><see cref="ExitReason.BudgetExhausted"/> at the place; <see cref="ExitReason.ReplayEnded"/> where the recording ends before; <see cref="ExitReason.Kicked"/> where it was
    /// stopped. Exits that the guest made on the way were the recorded run's, and are passed over.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The recording begins later.</exception>
    /// <exception cref="ReplayMismatchException">The run is not the one that was recorded.</exception>
    /// <exception cref="InvalidOperationException">No run is repeated, or the machine is running.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public VcpuExit GoTo(ulong instruction, CancellationToken cancellationToken = default)
    {
        using MachineHold hold = Hold("Machine.GoTo");
        return RequireReplay("Machine.GoTo").GoTo(instruction, cancellationToken);
    }

    /// <summary>Goes back by so many instructions of all vCPUs, at most to the beginning of the recording.</summary>
    /// <param name="instructions">How many; 1.</param>
    /// <param name="cancellationToken">Stops it on the way.</param>
    /// <inheritdoc cref="GoTo"/>
    public VcpuExit StepBack(ulong instructions = 1, CancellationToken cancellationToken = default)
    {
        using MachineHold hold = Hold("Machine.StepBack");
        ReplaySession replay = RequireReplay("Machine.StepBack");
        return replay.GoTo(Math.Max(replay.First, Virtual.Instructions - Math.Min(instructions, Virtual.Instructions)), cancellationToken);
    }

    /// <summary>Refuses what a recording would not know of.</summary>
    /// <exception cref="InvalidOperationException">The machine is recorded, or repeats a recorded run.</exception>
    internal void RefuseWhileRecorded(string operation)
    {
        if (IsRecording)
            throw new InvalidOperationException($"{operation} changes what is recorded: call {nameof(StopRecording)} first.");
        if (IsReplaying)
            throw new InvalidOperationException($"{operation} changes the run that is repeated: call {nameof(EndReplay)} first.");
    }

    /// <summary>What ends a run whose recording is at its end.</summary>
    /// <returns>The exit, or <see langword="null"/> where the run goes on.</returns>
    /// <exception cref="ReplayMismatchException">The run is not the one that was recorded.</exception>
    internal VcpuExit? CheckReplay()
    {
        if (Clock.Journal is not InputReplay replay)
            return null;
        if (replay.Difference is { } difference)
            throw new ReplayMismatchException(difference);
        if (!replay.IsEnded)
            return null;
        if (_replay is { IsMoving: false })
            EndReplayOwned();
        return new VcpuExit(ExitReason.ReplayEnded);
    }

    private ReplaySession RequireReplay(string operation) => IsReplaying && _replay is { } replay ? replay : throw new InvalidOperationException($"{operation} is for a machine that repeats a recorded run.");

    private void EndReplayOwned()
    {
        Clock.Journal = null;
        Interlocked.Exchange(ref _replay, null)?.Dispose();
        // What has happened outside meanwhile comes in now.
        for (int i = 0; i < Clock.InputCount; i++)
            Clock.InputOf(i)?.Announce();
    }

    private void ReleaseRecordings()
    {
        Interlocked.Exchange(ref _recordedFrom, null)?.Dispose();
        Interlocked.Exchange(ref _replay, null)?.Dispose();
    }

    /// <summary>What the vCPUs are, as one number.</summary>
    private ulong Digest()
    {
        var writer = new StateWriter();
        // Also in the middle of a capture, which has lent the machine already and needs it behind this.
        bool wasLent = _gate.IsLentHere;
        _gate.Lend();
        try
        {
            VisitVcpus(writer);
        }
        finally
        {
            if (!wasLent)
                _gate.TakeBack();
        }

        return XxHash3.HashToUInt64(writer.Written.Span);
    }
}
