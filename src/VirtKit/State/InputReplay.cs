namespace VirtKit.State;

/// <summary>Repeats what came into a deterministic machine while it was recorded.</summary>
internal sealed class InputReplay : InputJournal
{
    private readonly InputLog _log;
    private readonly Func<ulong> _digest;
    private readonly Func<int, MachineInput?> _inputs;
    private readonly Action<MachineInput> _repeat;
    private InputLog.Cursor _events, _answers;
    private InputEvent _next;
    private ulong _question, _nextQuestion, _heard;

    /// <summary>How often the run was at the end's moment and not yet what it was there.</summary>
    private int _late;
    private const int MostLate = 16;

    /// <param name="log">The log, from its beginning.</param>
    /// <param name="digest">Says what the vCPUs are.</param>
    /// <param name="inputs">Finds an input by its number.</param>
    /// <param name="repeat">Runs an input's handler.</param>
    public InputReplay(InputLog log, Func<ulong> digest, Func<int, MachineInput?> inputs, Action<MachineInput> repeat)
    {
        (_log, _digest, _inputs, _repeat) = (log, digest, inputs, repeat);
        _next = log.ReadEvent(ref _events);
        PeekAnswer();
    }

    public override bool IsReplayed => true;

    public override bool IsHeard => _question > _heard;

    /// <summary>Whether the log waits, while the machine is brought to one of its places.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Inputs whose announcements were passed over while the log waited: they are announced again where the run is not repeated after all.</summary>
    public List<MachineInput> PassedOver { get; } = [];

    /// <summary>Whether the log has been passed.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>Where the run was found to be another one than was recorded; <see langword="null"/> while it is the same.</summary>
    public string? Difference { get; private set; }

    /// <summary>How far the log has been passed.</summary>
    public LogPosition Position
    {
        get => new(_events, _answers, _next, _question, _nextQuestion);
        set
        {
            _heard = Math.Max(_heard, _question);
            (_events, _answers, _next, _question, _nextQuestion) = (value.Events, value.Answers, value.Next, value.Question, value.NextQuestion);
            IsEnded = false;
            Difference = null;
            _late = 0;
        }
    }

    /// <summary>What inputs announce is in the log. What was posted without one is not, and runs.</summary>
    public override bool Admits(MachineInput? input, RunMoment now)
    {
        if (input is not null && IsHeld)
            PassedOver.Add(input);
        input?.Forget();
        return input is null;
    }

    public override bool PassBetweenSlices(RunMoment now)
    {
        bool ran = false;
        while (!IsHeld && !IsEnded && Difference is null && _next.Moment.CompareTo(now) <= 0)
        {
            if (_next.Moment != now && _late != 0)
                Differ($"at {_next.Moment}: the vCPUs are not what they were");
            else if (_next.Moment != now)
                Differ($"at {now}, and the recording has input at {_next.Moment}");
            else if (_next.Kind is InputEventKind.Check or InputEventKind.End && _next.Digest != _digest())
            {
                // A guest that crashed has gone from trap to trap behind its last instruction, and comes back as often as the recorded one did.
                if (_next.Kind == InputEventKind.End && _late++ < MostLate)
                    break;
                Differ($"at {now}: the vCPUs are not what they were");
            }
            else if (_next.Kind == InputEventKind.Input)
                ran |= Repeat(_next.Input, now);
            if (Difference is not null)
                break;
            IsEnded = _next.Kind == InputEventKind.End;
            if (!IsEnded)
                _next = _log.ReadEvent(ref _events);
        }

        return ran;
    }

    public override ulong MostFrom(RunMoment now) =>
        !IsEnded && _next.Moment.Instructions >= now.Instructions ? Math.Max(1, _next.Moment.Instructions - now.Instructions) : ulong.MaxValue;

    public override int Replay(MachineInput input, Span<byte> answer)
    {
        _question++;
        if (_question != _nextQuestion)
            return 0;
        InputAnswer recorded = _log.ReadAnswer(ref _answers);
        PeekAnswer();
        if (recorded.Input != input.Number || recorded.Content.Length > answer.Length)
        {
            Differ($"before {_next.Moment}: input {input.Number} asks question {_question}, and the recording has an answer of {recorded.Content.Length} bytes for input {recorded.Input}");
            return 0;
        }

        if (recorded.Content.IsEmpty)
            throw new VirtKitException("Outside failed here in the run that was recorded.");
        recorded.Content.CopyTo(answer);
        return recorded.Content.Length;
    }

    public override void Record(MachineInput input, ReadOnlySpan<byte> answer) { }

    public override void RecordFailure(MachineInput input) { }

    /// <summary>All vCPUs wait, and no timer is set.</summary>
    public void FindIdle(RunMoment now)
    {
        if (!IsEnded)
            Differ($"at {now}: the machine waits for ever, and the recording goes on at {_next.Moment}");
    }

    private bool Repeat(int number, RunMoment now)
    {
        if (_inputs(number) is { } input)
        {
            _repeat(input);
            return true;
        }

        Differ($"at {now}: the machine has no input {number}");
        return false;
    }

    private void Differ(string where) => Difference ??= $"The run is not the one that was recorded, {where}.";

    private void PeekAnswer()
    {
        InputLog.Cursor ahead = _answers;
        _nextQuestion = ahead.AnswerOffset < _log.Answers.Length ? _log.ReadAnswer(ref ahead).Question : 0;
    }

    /// <summary>How far a log has been passed.</summary>
    public readonly record struct LogPosition(InputLog.Cursor Events, InputLog.Cursor Answers, InputEvent Next, ulong Question, ulong NextQuestion);
}
