namespace VirtKit.RiscV;

/// <summary>Traps that follow each other without an instruction retiring in between: a handler that cannot be fetched traps for ever. CSRs only show the last trap;
/// what went wrong is the first.</summary>
internal sealed unsafe partial class Hart
{
    /// <summary>A hart that takes this many traps in a row without retiring an instruction does not get out of them any more.</summary>
    private const int TrapLimit = 1000;

    private ulong _firstCause, _firstPc, _firstValue, _lastCause;
    private ulong _chainRetired = ulong.MaxValue;
    private int _chainLength;

    public override bool TrapsWithoutEnd => _chainLength > TrapLimit && _chainRetired == Context->Retired;

    public override bool IsBehindATrap => _chainRetired == Context->Retired;

    public override VcpuExit TrapExit()
    {
        var first = new GuestTrap(_firstCause, new Gva(_firstPc), _firstValue, TrapName.Of(_firstCause));
        return new VcpuExit(ExitReason.Fault, _lastCause, $"Hart {Id} traps without end, now at {new Gva(Pc)}. The first trap: {first}.") { FirstTrap = first };
    }

    private void NoteTrap(ulong causeRegister, ulong value)
    {
        _lastCause = causeRegister;
        if (_chainRetired == Context->Retired)
        {
            if (_chainLength <= TrapLimit)
                _chainLength++;
            return;
        }

        _chainRetired = Context->Retired;
        _chainLength = 1;
        (_firstCause, _firstPc, _firstValue) = (causeRegister, Pc, value);
    }

    /// <summary>What follows has nothing to do with the traps so far: the state is another one.</summary>
    private void ForgetTraps() => _chainRetired = ulong.MaxValue;
}
