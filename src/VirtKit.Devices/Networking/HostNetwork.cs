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
            bool isConnected;
            try
            {
                isConnected = backend.IsConnected;
            }
            catch
            {
                input.RecordFailure();
                throw;
            }

            input.Record(isConnected ? answer : []);
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

        try
        {
            backend.Send(frame);
        }
        catch
        {
            input.RecordFailure();
            throw;
        }

        input.Record([]);
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

        bool isThere;
        try
        {
            isThere = backend.TryReceive(frame, out length);
        }
        catch
        {
            input.RecordFailure();
            throw;
        }

        length = isThere ? Math.Clamp(length, 0, frame.Length) : 0;
        input.Record(frame[..length]);
        return length != 0;
    }
}
