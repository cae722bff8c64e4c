using System.Buffers;
using System.Buffers.Binary;

namespace VirtKit.State;

/// <summary>What kind of thing happened to a recorded machine between two slices.</summary>
internal enum InputEventKind
{
    /// <summary>The recording ends.</summary>
    End,

    /// <summary>Nothing: what the vCPUs are here is known.</summary>
    Check,

    /// <summary>An action ran that no input had posted.</summary>
    Foreign,

    /// <summary>An input's handler ran.</summary>
    Input,
}

/// <summary>Something that happened to a recorded machine between two slices.</summary>
/// <param name="Moment">When.</param>
/// <param name="Kind">What.</param>
/// <param name="Input">Whose handler ran, for <see cref="InputEventKind.Input"/>.</param>
/// <param name="Digest">What the vCPUs are, for <see cref="InputEventKind.Check"/> and <see cref="InputEventKind.End"/>.</param>
internal readonly record struct InputEvent(RunMoment Moment, InputEventKind Kind, int Input = 0, ulong Digest = 0);

/// <summary>What outside answered to a device's question.</summary>
/// <param name="question">The question's number, from 1.</param>
/// <param name="input">Who asked.</param>
/// <param name="content">The answer; empty where outside threw.</param>
internal readonly ref struct InputAnswer(ulong question, int input, ReadOnlySpan<byte> content)
{
    public ulong Question { get; } = question;

    public int Input { get; } = input;

    public ReadOnlySpan<byte> Content { get; } = content;
}

/// <summary>The log of a recording (docs/snapshot-format.md): events, which happen between two slices, and answers, which are given to a device in the middle of one.</summary>
internal sealed class InputLog
{
    private const int DigestSize = 8;

    private readonly ArrayBufferWriter<byte> _events = new(), _answers = new();
    private RunMoment _lastMoment;
    private ulong _lastQuestion;

    /// <summary>How many bytes it has.</summary>
    public long Length => _events.WrittenCount + (long)_answers.WrittenCount;

    public ReadOnlyMemory<byte> Events => _events.WrittenMemory;

    public ReadOnlyMemory<byte> Answers => _answers.WrittenMemory;

    /// <summary>Reads a log that may be any bytes.</summary>
    /// <exception cref="InvalidSnapshotException">It is damaged.</exception>
    public static InputLog Parse(ReadOnlySpan<byte> events, ReadOnlySpan<byte> answers)
    {
        var log = new InputLog();
        log._events.Write(events);
        log._answers.Write(answers);
        try
        {
            InputEvent current = default;
            for (var cursor = default(Cursor); cursor.EventOffset < events.Length;)
            {
                if (cursor.EventOffset != 0 && current.Kind == InputEventKind.End)
                    throw new InvalidSnapshotException("The recording goes on behind its end.");
                current = log.ReadEvent(ref cursor);
            }

            if (events.IsEmpty || current.Kind != InputEventKind.End)
                throw new InvalidSnapshotException("The recording has no end.");
            for (var cursor = default(Cursor); cursor.AnswerOffset < answers.Length;)
                log.ReadAnswer(ref cursor);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or IndexOutOfRangeException or OverflowException)
        {
            throw new InvalidSnapshotException("The recording's log is damaged.", e);
        }

        return log;
    }

    public void Add(InputEvent happened)
    {
        Number(_events, happened.Moment.Instructions - _lastMoment.Instructions);
        Number(_events, happened.Moment.Skips - _lastMoment.Skips);
        Number(_events, (ulong)happened.Kind + (ulong)happened.Input);
        if (happened.Kind is InputEventKind.Check or InputEventKind.End)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_events.GetSpan(DigestSize), happened.Digest);
            _events.Advance(DigestSize);
        }

        _lastMoment = happened.Moment;
    }

    public void Add(InputAnswer answer)
    {
        Number(_answers, answer.Question - _lastQuestion);
        Number(_answers, (ulong)answer.Input);
        Number(_answers, (ulong)answer.Content.Length);
        _answers.Write(answer.Content);
        _lastQuestion = answer.Question;
    }

    /// <summary>Reads the next event; there is one.</summary>
    public InputEvent ReadEvent(ref Cursor cursor)
    {
        ReadOnlySpan<byte> bytes = _events.WrittenSpan;
        var moment = new RunMoment(checked(cursor.LastMoment.Instructions + Number(bytes, ref cursor.EventOffset)), checked(cursor.LastMoment.Skips + Number(bytes, ref cursor.EventOffset)));
        ulong kind = Number(bytes, ref cursor.EventOffset);
        cursor.LastMoment = moment;
        if (kind > (ulong)InputEventKind.Check)
            return new InputEvent(moment, kind == (ulong)InputEventKind.Foreign ? InputEventKind.Foreign : InputEventKind.Input, checked((int)(kind - Math.Min(kind, (ulong)InputEventKind.Input))));
        ulong digest = BinaryPrimitives.ReadUInt64LittleEndian(bytes[cursor.EventOffset..]);
        cursor.EventOffset += DigestSize;
        return new InputEvent(moment, (InputEventKind)kind, 0, digest);
    }

    /// <summary>Reads the next answer; there is one. Its content is valid as long as nothing is added.</summary>
    public InputAnswer ReadAnswer(ref Cursor cursor)
    {
        ReadOnlySpan<byte> bytes = _answers.WrittenSpan;
        cursor.LastQuestion = checked(cursor.LastQuestion + Number(bytes, ref cursor.AnswerOffset));
        int input = checked((int)Number(bytes, ref cursor.AnswerOffset)), length = checked((int)Number(bytes, ref cursor.AnswerOffset));
        ReadOnlySpan<byte> content = bytes.Slice(cursor.AnswerOffset, length);
        cursor.AnswerOffset += length;
        return new InputAnswer(cursor.LastQuestion, input, content);
    }

    /// <summary>Writes a number, seven bits a byte, the low ones first; bit 7 says that more follow.</summary>
    private static void Number(ArrayBufferWriter<byte> target, ulong value)
    {
        Span<byte> bytes = target.GetSpan(10);
        int length = 0;
        for (; value > 0x7f; value >>= 7)
            bytes[length++] = (byte)(value | 0x80);
        bytes[length++] = (byte)value;
        target.Advance(length);
    }

    private static ulong Number(ReadOnlySpan<byte> bytes, ref int offset)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = bytes[offset++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next <= 0x7f)
                return value;
        }

        throw new OverflowException();
    }

    /// <summary>How far a log has been read.</summary>
    public struct Cursor
    {
        public int EventOffset, AnswerOffset;
        public RunMoment LastMoment;
        public ulong LastQuestion;
    }
}
