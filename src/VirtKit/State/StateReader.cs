using System.Buffers.Binary;
using System.Text;

namespace VirtKit.State;

/// <summary>Restores state from what <see cref="StateWriter"/> wrote, which may be any bytes: what does not fit is refused, and says where.</summary>
/// <param name="bytes">The records. They are not changed and not kept behind the last field.</param>
public sealed class StateReader(ReadOnlyMemory<byte> bytes) : StateVisitor
{
    private readonly Stack<int> _ends = new();
    private int _position;
    private int _end = bytes.Length;

    /// <inheritdoc/>
    public override bool IsReading => true;

    /// <summary>Whether what waits outside of the machine stays as it is (<see cref="StateVisitor.Outside"/>).</summary>
    internal bool KeepsOutside { get; init; }

    /// <summary>Restores one part on its own.</summary>
    /// <param name="part">The part.</param>
    /// <param name="bytes">What <see cref="StateWriter.Save"/> gave for one of its kind.</param>
    /// <exception cref="InvalidSnapshotException">The bytes are no state of such a part, which is as it was.</exception>
    public static void Restore(ISnapshotable part, ReadOnlyMemory<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(part);
        byte[] before = StateWriter.Save(part);
        try
        {
            var reader = new StateReader(bytes);
            part.Visit(reader);
            reader.End();
        }
        catch (InvalidSnapshotException)
        {
            // What stands behind the last field shows only when the part has taken all of them.
            part.Visit(new StateReader(before));
            throw;
        }
    }

    /// <summary>The names of a state's parts, those within parts not among them, in their order.</summary>
    /// <exception cref="InvalidSnapshotException">The bytes are no records.</exception>
    internal static List<string> PartsOf(ReadOnlyMemory<byte> bytes)
    {
        List<string> parts = [];
        for (ReadOnlySpan<byte> rest = bytes.Span; !rest.IsEmpty;)
        {
            int head = rest[0] + 6;
            uint length = rest.Length < head ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(rest[(head - 4)..]);
            if (length > (uint)Math.Max(0, rest.Length - head))
                throw new InvalidSnapshotException("The state is cut off.");
            if (rest[head - 5] == (byte)StateType.Part)
                parts.Add(Encoding.UTF8.GetString(rest.Slice(1, rest[0])));
            rest = rest[(head + (int)length)..];
        }

        return parts;
    }

    /// <summary>Ends reading.</summary>
    /// <exception cref="InvalidSnapshotException">There is more than was read.</exception>
    public void End() => CheckEnd();

    private protected override void Visit(string name, StateType type, Span<byte> values)
    {
        ReadOnlySpan<byte> content = Open(name, type);
        if (content.Length != values.Length)
            throw new InvalidSnapshotException($"{PathOf(name)} has {content.Length} bytes, not {values.Length}.");
        content.CopyTo(values);
        _position += content.Length;
    }

    private protected override byte[] VisitAll(string name, byte[] bytes, int most)
    {
        ReadOnlySpan<byte> content = Open(name, StateType.UInt8);
        if (content.Length > most)
            throw new InvalidSnapshotException($"{PathOf(name)} has {content.Length} bytes, and there is room for {most}.");
        _position += content.Length;
        return content.ToArray();
    }

    private protected override void BeginPart(string name)
    {
        ReadOnlySpan<byte> content = Open(name, StateType.Part);
        _ends.Push(_end);
        _end = _position + content.Length;
    }

    private protected override bool TrySkip()
    {
        if (KeepsOutside)
            _position = _end;
        return KeepsOutside;
    }

    private protected override void EndPart()
    {
        CheckEnd();
        _end = _ends.Pop();
    }

    private void CheckEnd()
    {
        if (_position != _end)
            throw new InvalidSnapshotException($"{PathOf("end")} has {_end - _position} bytes behind the last field.");
    }

    /// <summary>Passes the head of a record.</summary>
    /// <returns>Its content.</returns>
    private ReadOnlySpan<byte> Open(string name, StateType type)
    {
        ReadOnlySpan<byte> rest = bytes.Span[_position.._end];
        if (rest.IsEmpty || rest.Length < rest[0] + 6)
            throw new InvalidSnapshotException($"{PathOf(name)} is missing: the state ends before it.");
        int count = rest[0];
        if (!rest.Slice(1, count).SequenceEqual(Encoding.UTF8.GetBytes(name)))
            throw new InvalidSnapshotException($"{PathOf(name)} is missing: \"{Encoding.UTF8.GetString(rest.Slice(1, Math.Min(count, MaxNameLength)))}\" stands in its place.");
        if (rest[1 + count] != (byte)type)
            throw new InvalidSnapshotException($"{PathOf(name)} is of type {rest[1 + count]}, not {type}.");
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(rest[(2 + count)..]);
        rest = rest[(count + 6)..];
        if (length > (uint)rest.Length)
            throw new InvalidSnapshotException($"{PathOf(name)} is cut off: {length} bytes are announced, and {rest.Length} are left.");
        _position += count + 6;
        return rest[..(int)length];
    }
}
