using System.Buffers.Binary;

namespace VirtKit.State;

/// <summary>Answers hypercalls of a machine that is recorded, or repeats a recorded run: in that one the host is not asked.</summary>
/// <param name="host">Where the answers enter.</param>
/// <param name="handler">The host's handler now.</param>
internal sealed class RecordedHypercalls(MachineInput host, Func<IHypercallHandler?> handler) : IHypercallHandler
{
    public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
    {
        Span<byte> answer = stackalloc byte[sizeof(ulong)];
        if (host.IsReplayed)
        {
            bool wasAnswered = host.Replay(answer) != 0;
            result = BinaryPrimitives.ReadUInt64LittleEndian(answer);
            return wasAnswered;
        }

        result = 0;
        bool isAnswered;
        try
        {
            isAnswered = handler()?.TryAnswer(vcpu, call, out result) ?? false;
        }
        catch
        {
            host.RecordFailure();
            throw;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(answer, result);
        host.Record(isAnswered ? answer : []);
        return isAnswered;
    }
}
