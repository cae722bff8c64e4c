using System.Buffers.Binary;
using System.Text;

namespace VirtKit.State;

/// <summary>Saves state as records, one a field: length of the name (1 byte), name in UTF-8, type (1 byte), length of the content (4 bytes), content; numbers are little
/// endian. A part is a record whose content is records.</summary>
public sealed class StateWriter : StateVisitor
{
    private readonly Stack<int> _begun = new();
    private byte[] _bytes = new byte[256];
    private int _length;

    /// <inheritdoc/>
    public override bool IsReading => false;

    /// <summary>What was written so far, without copying it: valid until something more is written.</summary>
    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, _length);

    /// <summary>Saves one part on its own.</summary>
    /// <param name="part">The part.</param>
    /// <returns>Its records.</returns>
    public static byte[] Save(ISnapshotable part)
    {
        ArgumentNullException.ThrowIfNull(part);
        var writer = new StateWriter();
        part.Visit(writer);
        return writer.Written.ToArray();
    }

    private protected override void Visit(string name, StateType type, Span<byte> bytes)
    {
        Begin(name, type, bytes.Length);
        bytes.CopyTo(Take(bytes.Length));
    }

    private protected override void BeginPart(string name)
    {
        Begin(name, StateType.Part, 0);
        _begun.Push(_length);
    }

    private protected override void EndPart()
    {
        int begin = _begun.Pop();
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(begin - 4), _length - begin);
    }

    private void Begin(string name, StateType type, int length)
    {
        int count = Encoding.UTF8.GetByteCount(name);
        if (count is 0 or > MaxNameLength)
            throw new ArgumentException($"A name has 1 to {MaxNameLength} bytes: \"{name}\".", nameof(name));
        Span<byte> head = Take(count + 6);
        head[0] = (byte)count;
        Encoding.UTF8.GetBytes(name, head[1..]);
        head[1 + count] = (byte)type;
        BinaryPrimitives.WriteInt32LittleEndian(head[(2 + count)..], length);
    }

    private Span<byte> Take(int count)
    {
        if (_bytes.Length - _length < count)
            Array.Resize(ref _bytes, Math.Max(checked(_length + count), 2 * _bytes.Length));
        Span<byte> taken = _bytes.AsSpan(_length, count);
        _length += count;
        return taken;
    }
}
