namespace VirtKit.Samples.RunElf;

/// <summary>Looks after a run at regular instruction counts: whether the program has written its result to <c>tohost</c>, and whether the budget is used up.
/// It rides on the machine's virtual clock, so that nothing is tested per instruction and the budget ends to the instruction. Waiting in WFI uses the budget
/// up as running does.</summary>
internal sealed class Watch : IDisposable
{
    private const ulong Interval = 100_000;

    private readonly Machine _machine;
    private readonly Gpa? _toHost;
    private readonly ulong _nanosecondsPerInstruction;
    private readonly ulong _end;
    private readonly ClockTimer _timer;
    private ulong _retired;

    /// <param name="machine">The machine; with a budget, one with deterministic scheduling.</param>
    /// <param name="options">The options that it was made with.</param>
    /// <param name="budget">Instructions, or <see langword="null"/> for no limit.</param>
    /// <param name="toHost">Where the program's symbol <c>tohost</c> lies, or <see langword="null"/>.</param>
    public Watch(Machine machine, MachineOptions options, ulong? budget, Gpa? toHost)
    {
        _machine = machine;
        _toHost = toHost;
        _nanosecondsPerInstruction = options.NanosecondsPerInstruction;
        _end = budget is { } limit && limit < (ulong.MaxValue - machine.Clock.Now) / _nanosecondsPerInstruction
            ? machine.Clock.Now + limit * _nanosecondsPerInstruction
            : ulong.MaxValue;
        _timer = machine.Clock.CreateTimer(this, Look);
        if (toHost is not null || _end != ulong.MaxValue)
            Next();
    }

    /// <summary>The exit code that a value in <c>tohost</c> means: 1 is success, anything else a failure's number above bit 0.</summary>
    public static int ExitCode(ulong toHost) => toHost == 1 ? 0 : (int)Math.Min(toHost >> 1, int.MaxValue);

    /// <summary>Whether the program has written its result, and which exit code that means.</summary>
    public bool TryReadResult(out int code)
    {
        ulong value = 0;
        bool isThere = _toHost is { } address && _machine.Memory.TryRead(address, out value) && value != 0;
        code = isThere ? ExitCode(value) : 0;
        return isThere;
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (TryReadResult(out int code))
        {
            _machine.RequestShutdown(code);
        }
        else if (_machine.Clock.Now >= _end)
        {
            _machine.RequestStop(new VcpuExit(ExitReason.BudgetExhausted));
        }
        else
        {
            // All harts wait: virtual time would fly by as fast as the host can count it.
            ulong retired = _machine.Vcpus.Aggregate(0UL, (sum, vcpu) => sum + vcpu.Counters.Retired);
            if (retired == _retired && _end == ulong.MaxValue)
                Thread.Sleep(1);
            _retired = retired;
            Next();
        }
    }

    private void Next()
    {
        ulong now = _machine.Clock.Now, interval = Interval * _nanosecondsPerInstruction;
        _timer.Set(_toHost is null || _end - now < interval ? _end : now + interval);
    }
}
