using VirtKit.Scheduling;

namespace VirtKit.Engines;

/// <summary>The ownership of a machine that does not run, for as long as an operation of its engine lasts. Disposing it gives the machine back.</summary>
public readonly struct MachineHold : IDisposable
{
    private readonly MachineGate? _gate;

    internal MachineHold(MachineGate? gate, string operation)
    {
        if (gate is null || gate.IsLentHere)
            return;
        gate.Enter(operation);
        _gate = gate;
    }

    /// <summary>Gives the machine back. Called once.</summary>
    public void Dispose() => _gate?.Leave();
}
