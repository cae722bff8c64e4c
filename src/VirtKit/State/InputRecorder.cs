namespace VirtKit.State;

/// <summary>Writes down what comes into a deterministic machine from outside.</summary>
internal sealed class InputRecorder : InputJournal
{
    /// <summary>How many instructions lie between two checks of the vCPUs: a repetition that differs is found out at the next one.</summary>
    private const ulong CheckDistance = 1 << 21;

    private readonly InputLog _log = new();
    private readonly Func<ulong> _digest;
    private readonly long _limit;
    private readonly Lock _gate = new();
    private ulong _question, _nextCheck;
    private bool _isEnded;

    /// <param name="now">The moment.</param>
    /// <param name="digest">Says what the vCPUs are.</param>
    /// <param name="limit">The most bytes of the log; beyond them the recording ends.</param>
    public InputRecorder(RunMoment now, Func<ulong> digest, long limit)
    {
        (_digest, _limit) = (digest, limit);
        Check(now);
    }

    public override bool IsReplayed => false;

    /// <summary>Whether the log became too long, and ends before the run does.</summary>
    public bool IsCut { get; private set; }

    /// <summary>Ends the recording.</summary>
    public InputLog End(RunMoment now)
    {
        lock (_gate)
        {
            if (!_isEnded)
                _log.Add(new InputEvent(now, InputEventKind.End, 0, _digest()));
            _isEnded = true;
            return _log;
        }
    }

    public override bool Admits(MachineInput? input, RunMoment now)
    {
        lock (_gate)
        {
            if (!_isEnded)
                _log.Add(new InputEvent(now, input is null ? InputEventKind.Foreign : InputEventKind.Input, input?.Number ?? 0));
        }

        return true;
    }

    public override bool PassBetweenSlices(RunMoment now)
    {
        if (_isEnded)
            return false;
        if (_log.Length > _limit)
        {
            // TIMING POINT 1: answers come in the middle of a slice, and the end only stands between two; so the log may be longer than its limit by those of a slice.
            IsCut = true;
            End(now);
        }
        else if (now.Instructions >= _nextCheck)
        {
            Check(now);
        }

        return false;
    }

    public override int Replay(MachineInput input, Span<byte> answer) => 0;

    public override void Record(MachineInput input, ReadOnlySpan<byte> answer)
    {
        lock (_gate)
        {
            _question++;
            if (!answer.IsEmpty && !_isEnded)
                _log.Add(new InputAnswer(_question, input.Number, answer));
        }
    }

    public override void RecordFailure(MachineInput input)
    {
        lock (_gate)
        {
            _question++;
            if (!_isEnded)
                _log.Add(new InputAnswer(_question, input.Number, []));
        }
    }

    private void Check(RunMoment now)
    {
        _log.Add(new InputEvent(now, InputEventKind.Check, 0, _digest()));
        _nextCheck = now.Instructions + CheckDistance;
    }
}
