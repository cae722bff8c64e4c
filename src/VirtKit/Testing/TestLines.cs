namespace VirtKit.Testing;

/// <summary>The far ends of a device's interrupt lines, which remember their levels. Used by one thread.</summary>
public sealed class TestLines : IInterruptSink
{
    private readonly SortedSet<int> _asserted = [];

    /// <summary>How often a line was asserted that was not.</summary>
    public int Rises { get; private set; }

    /// <summary>A line.</summary>
    /// <param name="input">Its number, any.</param>
    public InterruptLine this[int input] => new(this, input);

    /// <summary>Whether a line is asserted.</summary>
    public bool IsAsserted(int input) => _asserted.Contains(input);

    /// <inheritdoc/>
    public void SetInput(int input, bool level)
    {
        if (!level)
            _asserted.Remove(input);
        else if (_asserted.Add(input))
            Rises++;
    }

    /// <summary>The numbers of the asserted lines in ascending order.</summary>
    public override string ToString() => string.Join(' ', _asserted);
}
