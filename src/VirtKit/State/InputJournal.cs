namespace VirtKit.State;

/// <summary>Stands between a deterministic machine and its outside: writes down what comes in (<see cref="InputRecorder"/>), or repeats it (<see cref="InputReplay"/>). Used by the
/// thread that runs the machine; the two properties are for any thread.</summary>
internal abstract class InputJournal
{
    /// <summary>Whether outside is left alone.</summary>
    public abstract bool IsReplayed { get; }

    /// <summary>Whether output reaches the host.</summary>
    public virtual bool IsHeard => true;

    /// <summary>A posted action is about to run.</summary>
    /// <param name="input">The input that posted it; <see langword="null"/> for one that has none.</param>
    /// <param name="now">The moment.</param>
    /// <returns>Whether it may.</returns>
    public abstract bool Admits(MachineInput? input, RunMoment now);

    /// <summary>The run is between two slices.</summary>
    /// <returns>Whether something ran.</returns>
    public abstract bool PassBetweenSlices(RunMoment now);

    /// <summary>The most instructions that the next slice may have.</summary>
    public virtual ulong MostFrom(RunMoment now) => ulong.MaxValue;

    /// <inheritdoc cref="MachineInput.Replay"/>
    public abstract int Replay(MachineInput input, Span<byte> answer);

    /// <inheritdoc cref="MachineInput.Record"/>
    public abstract void Record(MachineInput input, ReadOnlySpan<byte> answer);

    /// <inheritdoc cref="MachineInput.RecordFailure"/>
    public abstract void RecordFailure(MachineInput input);
}
