namespace VirtKit;

/// <summary>What an interrupt line ends in: an input of an interrupt controller or a pin of a vCPU.</summary>
public interface IInterruptSink
{
    /// <summary>Sets the level of one input. Called from any thread; must not block for long and must not throw.</summary>
    /// <param name="input">The number of the input; its meaning is the sink's.</param>
    /// <param name="level"><see langword="true"/> is asserted.</param>
    void SetInput(int input, bool level);
}

/// <summary>One wire from a device to a controller, or from a controller to a vCPU. A value: copying it copies the wire's end, not its level.</summary>
/// <remarks>The default value is a detached line, on which every operation does nothing: a device is tested without a controller. Thread-safe.</remarks>
public readonly struct InterruptLine : IEquatable<InterruptLine>
{
    private readonly IInterruptSink? _sink;
    private readonly int _input;

    /// <summary>A line that ends in an input of <paramref name="sink"/>.</summary>
    /// <param name="sink">What the line ends in.</param>
    /// <param name="input">The number of the input, as the sink counts.</param>
    public InterruptLine(IInterruptSink sink, int input)
    {
        ArgumentNullException.ThrowIfNull(sink);
        _sink = sink;
        _input = input;
    }

    /// <summary>Asserts or deasserts the line. Setting the level it already has does nothing more.</summary>
    /// <param name="level"><see langword="true"/> to assert.</param>
    public void Set(bool level) => _sink?.SetInput(_input, level);

    /// <inheritdoc/>
    public bool Equals(InterruptLine other) => ReferenceEquals(_sink, other._sink) && _input == other._input;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is InterruptLine other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_sink, _input);

    /// <summary>Whether both values are ends of the same wire.</summary>
    public static bool operator ==(InterruptLine left, InterruptLine right) => left.Equals(right);

    /// <summary>Whether the values are ends of different wires.</summary>
    public static bool operator !=(InterruptLine left, InterruptLine right) => !left.Equals(right);
}
