using System.Buffers.Binary;

namespace VirtKit.Devices.Consoles;

/// <summary>A device's end of a console backend: what the backend answers is recorded, and repeated in its place.</summary>
/// <param name="backend">The backend.</param>
/// <param name="source">Where it enters the machine.</param>
internal sealed class HostConsole(IConsoleBackend backend, Func<MachineInput> source)
{
    /// <summary>How long output of a repeated run waits for a backend that has no room; what is left then is lost.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Whether the backend took nothing for that long.</summary>
    private bool _isStuck;

    /// <inheritdoc cref="IConsoleBackend.Size"/>
    public ConsoleSize Size
    {
        get
        {
            MachineInput input = source();
            Span<byte> answer = stackalloc byte[4];
            if (input.IsReplayed)
            {
                input.Replay(answer);
                return new ConsoleSize(BinaryPrimitives.ReadUInt16LittleEndian(answer), BinaryPrimitives.ReadUInt16LittleEndian(answer[2..]));
            }

            using var question = new OutsideQuestion(input);
            ConsoleSize size = backend.Size;
            BinaryPrimitives.WriteUInt16LittleEndian(answer, size.Columns);
            BinaryPrimitives.WriteUInt16LittleEndian(answer[2..], size.Rows);
            question.Answer(answer);
            return size;
        }
    }

    /// <inheritdoc cref="IConsoleBackend.Write"/>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        MachineInput input = source();
        Span<byte> answer = stackalloc byte[4];
        if (input.IsReplayed)
        {
            int replayed = input.Replay(answer) == 0 ? bytes.Length : Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(answer), 0, bytes.Length);
            if (input.IsHeard)
                Show(bytes[..replayed]);
            return replayed;
        }

        using var question = new OutsideQuestion(input);
        int taken = Math.Clamp(backend.Write(bytes), 0, bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(answer, taken);
        question.Answer(taken == bytes.Length ? [] : answer);
        return taken;
    }

    /// <inheritdoc cref="IConsoleBackend.Read"/>
    public int Read(Span<byte> buffer)
    {
        MachineInput input = source();
        if (input.IsReplayed)
            return input.Replay(buffer);
        using var question = new OutsideQuestion(input);
        int count = Math.Clamp(backend.Read(buffer), 0, buffer.Length);
        question.Answer(buffer[..count]);
        return count;
    }

    /// <summary>Passes output on that the guest is rid of already.</summary>
    private void Show(ReadOnlySpan<byte> bytes)
    {
        for (long start = Environment.TickCount64; !bytes.IsEmpty;)
        {
            int taken = Offer(bytes);
            bytes = bytes[taken..];
            // A backend that was waited for in vain is not waited for again until it takes something: a guest writes byte by byte.
            _isStuck &= taken == 0;
            if (_isStuck)
                return;
            if (taken == 0)
                Thread.Sleep(1);
            _isStuck = taken == 0 && Environment.TickCount64 - start >= Patience.TotalMilliseconds;
        }
    }

    /// <summary>Output of a repeated run that the backend fails on is lost: the run is the recorded one, whatever becomes of it outside.</summary>
    private int Offer(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Math.Clamp(backend.Write(bytes), 0, bytes.Length);
        }
        catch (Exception)
        {
            return bytes.Length;
        }
    }
}
