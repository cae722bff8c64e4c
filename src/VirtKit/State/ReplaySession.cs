using VirtKit.Time;

namespace VirtKit.State;

/// <summary>A run that a machine repeats, with checkpoints to go back to. Used by the machine's owner.</summary>
internal sealed class ReplaySession(Machine machine, InputReplay replay, ReplayOptions options) : IDisposable
{
    private readonly List<Checkpoint> _checkpoints = [];
    private ulong _distance = options.CheckpointDistance;

    /// <summary>The last place that was gone to.</summary>
    private RunMoment? _place;

    /// <summary>Where the recording begins.</summary>
    public ulong First => _checkpoints[0].Moment.Instructions;

    /// <summary>Whether the run is on its way to a place, and does not end the repetition where the recording ends.</summary>
    public bool IsMoving { get; private set; }

    private VirtualClock Clock => (VirtualClock)machine.Clock;

    /// <summary>Keeps the machine as it is here.</summary>
    public void Keep()
    {
        MachineSnapshot snapshot = MachineSnapshot.Of(machine);
        RunMoment moment = Clock.Moment;
        _checkpoints.Insert(_checkpoints.FindLastIndex(other => other.Moment.CompareTo(moment) < 0) + 1, new Checkpoint(moment, replay.Position, snapshot));
        // Every second one goes, but for the first, to which everything can go back.
        while (_checkpoints.Count > 1 && _checkpoints.Skip(1).Sum(checkpoint => checkpoint.Snapshot.OwnBytes) > options.CheckpointMemory)
        {
            _distance = _distance > ulong.MaxValue / 2 ? ulong.MaxValue : 2 * _distance;
            for (int i = _checkpoints.Count - 1; i > 0; i -= 2)
            {
                _checkpoints[i].Snapshot.Dispose();
                _checkpoints.RemoveAt(i);
            }
        }
    }

    /// <inheritdoc cref="Machine.GoTo"/>
    public VcpuExit GoTo(ulong instruction, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(instruction, First);
        // Behind one instruction there are many moments where idle time is skipped; the place is the first of them, which a checkpoint or a run may have left behind.
        Checkpoint nearest = _checkpoints.FindLast(checkpoint => checkpoint.Moment.Instructions < instruction) ?? _checkpoints[0];
        bool isPast = Clock.Instructions > instruction || (Clock.Instructions == instruction && Clock.Moment != _place && Clock.Moment != _checkpoints[0].Moment);
        if (isPast || nearest.Moment.Instructions > Clock.Instructions || replay.Difference is not null)
            Restore(nearest);
        IsMoving = true;
        try
        {
            return RunTo(instruction, cancellationToken);
        }
        finally
        {
            IsMoving = false;
        }
    }

    public void Dispose() => _checkpoints.ForEach(checkpoint => checkpoint.Snapshot.Dispose());

    private void Restore(Checkpoint checkpoint)
    {
        replay.IsHeld = true;
        try
        {
            checkpoint.Snapshot.ApplyTo(machine, RestoreKind.Replay);
            replay.Position = checkpoint.Position;
        }
        finally
        {
            replay.IsHeld = false;
        }
    }

    private VcpuExit RunTo(ulong instruction, CancellationToken cancellationToken)
    {
        // Each vCPU and the machine can have one exit that waited here; more of them without an instruction are one that does not end.
        for (int exitsHere = 0; ;)
        {
            RunMoment before = Clock.Moment;
            Checkpoint last = _checkpoints.FindLast(checkpoint => checkpoint.Moment.CompareTo(before) <= 0)!;
            ulong left = instruction - before.Instructions, toNext = _distance - Math.Min(_distance, before.Instructions - last.Moment.Instructions);
            if (toNext == 0)
            {
                Keep();
                toNext = _distance;
            }

            VcpuExit exit = machine.RunHeld(null, Math.Min(left, toNext), cancellationToken);
            bool isThere = exit.Reason == ExitReason.BudgetExhausted && Clock.Instructions >= instruction;
            exitsHere = exit.Reason != ExitReason.BudgetExhausted && Clock.Moment == before ? exitsHere + 1 : 0;
            if (isThere)
                _place = Clock.Moment;
            // The recorded run went on behind all others of the guest's exits, or ends there.
            if (isThere || exit.Reason is ExitReason.Kicked or ExitReason.ReplayEnded or ExitReason.InternalError || exitsHere > machine.Vcpus.Count + 1)
                return exit;
        }
    }

    private sealed record Checkpoint(RunMoment Moment, InputReplay.LogPosition Position, MachineSnapshot Snapshot);
}
