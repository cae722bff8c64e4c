namespace VirtKit.Devices;

/// <summary>A question of a device's to its backend, while its scope lasts: it is recorded with its answer, or as one at which the backend threw where the scope is left without.</summary>
/// <param name="input">Where the backend enters the machine.</param>
internal ref struct OutsideQuestion(MachineInput input)
{
    private bool _isAnswered;

    /// <inheritdoc cref="MachineInput.Record"/>
    public void Answer(scoped ReadOnlySpan<byte> answer)
    {
        _isAnswered = true;
        input.Record(answer);
    }

    public readonly void Dispose()
    {
        if (!_isAnswered)
            input.RecordFailure();
    }
}
