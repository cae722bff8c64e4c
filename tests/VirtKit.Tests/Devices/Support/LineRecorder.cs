namespace VirtKit.Tests.Devices.Support;

/// <summary>Ends of interrupt lines that remember their levels.</summary>
internal sealed class LineRecorder : IInterruptSink
{
    private readonly SortedSet<int> _asserted = [];

    /// <summary>How often a line went up.</summary>
    public int Rises { get; private set; }

    public InterruptLine this[int input] => new(this, input);

    public bool IsAsserted(int input) => _asserted.Contains(input);

    public void SetInput(int input, bool level)
    {
        if (level ? _asserted.Add(input) && ++Rises > 0 : _asserted.Remove(input))
            return;
    }

    public override string ToString() => string.Join(' ', _asserted);
}
