namespace VirtKit.Devices.Networking;

/// <summary>A device's end of a network backend: what the backend answers is recorded, and repeated in its place.</summary>
/// <param name="backend">The backend.</param>
/// <param name="source">Where it enters the machine.</param>
internal sealed class HostNetwork(INetworkBackend backend, Func<MachineInput> source)
{
    /// <inheritdoc cref="INetworkBackend.IsConnected"/>
    public bool IsConnected
    {
        get
        {
            MachineInput input = source();
            Span<byte> answer = stackalloc byte[1];
            if (input.IsReplayed)
                return input.Replay(answer) != 0;
            using var question = new OutsideQuestion(input);
            bool isConnected = backend.IsConnected;
            question.Answer(isConnected ? answer : []);
            return isConnected;
        }
    }

    /// <summary>Sends a frame; one of a repeated run goes nowhere, as the outside has had it.</summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        MachineInput input = source();
        if (input.IsReplayed)
        {
            input.Replay([]);
            return;
        }

        using var question = new OutsideQuestion(input);
        backend.Send(frame);
        question.Answer([]);
    }

    /// <inheritdoc cref="INetworkBackend.TryReceive"/>
    public bool TryReceive(Span<byte> frame, out int length)
    {
        MachineInput input = source();
        if (input.IsReplayed)
        {
            length = input.Replay(frame);
            return length != 0;
        }

        using var question = new OutsideQuestion(input);
        bool isThere = backend.TryReceive(frame, out length);
        length = isThere ? Math.Clamp(length, 0, frame.Length) : 0;
        question.Answer(frame[..length]);
        return length != 0;
    }
}
