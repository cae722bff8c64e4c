using VirtKit.State;

namespace VirtKit;

/// <summary>Where something of the host's enters a machine: a console's input, a network's frames, what a sensor shows. A device has one for each source, of its machine's clock
/// (<see cref="MachineClock.CreateInput"/>).</summary>
/// <remarks>
/// <para>What a device learns from outside comes by two ways, and a machine that is recorded (<see cref="Machine.StartRecording"/>) writes both down. The host's side announces
/// that something has changed, on any thread; the device's handler then runs between two slices of the machine. And the device asks, in its handler or while its guest
/// accesses it: it takes the answer from outside and passes it to <see cref="Record"/>. While a recorded run is repeated (<see cref="IsReplayed"/>), outside is left alone, and
/// <see cref="Replay"/> has the answer.</para>
/// <para><see cref="Announce"/> is thread-safe. The others are for the device, under its gate.</para>
/// </remarks>
/// <example>
/// A device that shows how warm it is outside:
/// <code>
/// internal sealed class Thermometer : IDevice
/// {
///     private readonly MachineInput _input;
///     private readonly Func&lt;byte&gt; _sensor;
///
///     public Thermometer(MachineClock clock, Func&lt;byte&gt; sensor) =&gt; (_input, _sensor) = (clock.CreateInput(this, () =&gt; { }), sensor);
///
///     public DeviceWindow Window =&gt; new("thermometer", 4, AccessWidths.Word);
///
///     public ulong Read(ulong offset, int size)
///     {
///         Span&lt;byte&gt; degrees = stackalloc byte[1];
///         if (_input.IsReplayed)
///         {
///             _input.Replay(degrees);
///             return degrees[0];
///         }
///
///         degrees[0] = _sensor();
///         _input.Record(degrees);
///         return degrees[0];
///     }
///
///     public void Write(ulong offset, int size, ulong value) { }
///
///     public void Reset() { }
/// }
/// </code>
/// </example>
public sealed class MachineInput
{
    private readonly MachineClock _clock;
    private readonly Action _arrived;
    private int _announced;

    internal MachineInput(MachineClock clock, int number, object gate, Action arrived) => (_clock, Number, Gate, _arrived) = (clock, number, gate, arrived);

    /// <summary>Whether the machine repeats a recorded run: outside is neither asked nor told anything, but for what <see cref="IsHeard"/> lets through.</summary>
    public bool IsReplayed => _clock.Journal is { IsReplayed: true };

    /// <summary>Whether output reaches the host: always, but where a repeated run passes a place for the second time.</summary>
    public bool IsHeard => _clock.Journal?.IsHeard ?? true;

    /// <summary>Which input of its machine it is, in the order in which they were made: the same for machines that are composed alike.</summary>
    internal int Number { get; }

    internal object Gate { get; }

    /// <summary>Lets the handler run between two slices of the machine, under the device's gate: once, however often it is called before. Any thread; returns at once. While a
    /// recorded run is repeated it does nothing, and when that ends, every input is announced.</summary>
    public void Announce()
    {
        if (!IsReplayed && Interlocked.Exchange(ref _announced, 1) == 0)
            _clock.Post(this);
    }

    /// <summary>The answer to the device's question in the run that is repeated.</summary>
    /// <param name="answer">Where it goes.</param>
    /// <returns>Its length in bytes; 0 for an empty one.</returns>
    /// <exception cref="VirtKitException">Outside threw there (<see cref="RecordFailure"/>).</exception>
    public int Replay(Span<byte> answer) => _clock.Journal?.Replay(this, answer) ?? 0;

    /// <summary>Notes the answer to the device's question, if the machine is recorded.</summary>
    /// <param name="answer">The answer; an empty one, which is what a device expects, takes no room.</param>
    public void Record(ReadOnlySpan<byte> answer) => _clock.Journal?.Record(this, answer);

    /// <summary>Notes that outside threw instead of an answer, if the machine is recorded: <see cref="Replay"/> then throws at this question. Called before the exception is passed on.</summary>
    public void RecordFailure() => _clock.Journal?.RecordFailure(this);

    /// <summary>Runs the handler, under the gate.</summary>
    internal void Arrive()
    {
        Forget();
        _arrived();
    }

    /// <summary>An announcement has been taken from the queue. First, so that what comes while the device looks is announced again (TIMING POINT 1).</summary>
    internal void Forget() => Interlocked.Exchange(ref _announced, 0);
}
