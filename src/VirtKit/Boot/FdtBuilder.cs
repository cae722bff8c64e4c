using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>Writes a flattened device tree, version 17 (Devicetree Specification 0.4, §5). Values are big-endian as the format has them.</summary>
/// <remarks>Not thread-safe. Nodes nest by <see cref="BeginNode"/> and <see cref="EndNode"/>; properties come before child nodes.</remarks>
public sealed class FdtBuilder
{
    private const uint Magic = 0xd00dfeed, Version = 17, LastCompatibleVersion = 16;
    private const uint BeginToken = 1, EndToken = 2, PropertyToken = 3, EndOfTree = 9;
    private const int HeaderSize = 40, ReservationSize = 16;

    private readonly ArrayBufferWriter<byte> _structure = new();
    private readonly ArrayBufferWriter<byte> _strings = new();
    private readonly Dictionary<string, int> _stringOffsets = [];
    private readonly ArrayBufferWriter<byte> _reservations = new();
    private int _depth;
    private bool _closed;
    private bool _hasChild;
    private uint _lastPhandle;

    /// <summary>A new phandle, from 1; the node that owns it writes it as its property <c>phandle</c>.</summary>
    public uint AllocatePhandle() => ++_lastPhandle;

    /// <summary>Adds an entry to the memory reservation block.</summary>
    public FdtBuilder Reserve(Gpa start, ulong size)
    {
        Span<byte> entry = stackalloc byte[ReservationSize];
        BinaryPrimitives.WriteUInt64BigEndian(entry, start.Value);
        BinaryPrimitives.WriteUInt64BigEndian(entry[8..], size);
        _reservations.Write(entry);
        return this;
    }

    /// <summary>Begins a node. The first one is the root, whose name is empty.</summary>
    /// <param name="name">The name with its unit address, <c>serial@10000000</c>: printable ASCII without <c>/</c>, at most <see cref="DeviceTree.MaxNameLength"/> characters.</param>
    /// <exception cref="ArgumentException">The name is another.</exception>
    /// <exception cref="InvalidOperationException">The root has been ended.</exception>
    public FdtBuilder BeginNode(string name)
    {
        CheckName(name);
        if (_closed)
            throw new InvalidOperationException("The root node has been ended.");
        _depth++;
        _hasChild = false;
        WriteCell(BeginToken);
        _structure.Write(Encoding.ASCII.GetBytes(name));
        _structure.Write("\0"u8);
        Pad();
        return this;
    }

    /// <summary>Begins a device's node, <paramref name="name"/><c>@address</c>, with what every device has: <c>compatible</c>, <c>reg</c>, and its interrupts and
    /// phandle as far as the resources have them.</summary>
    /// <param name="name">The name without its unit address, <c>serial</c>.</param>
    /// <param name="size">The length of its register window in bytes.</param>
    /// <param name="resources">What the board has given it.</param>
    /// <param name="compatible">What drivers know it by, the most special first.</param>
    public FdtBuilder BeginDevice(string name, ulong size, FdtResources resources, params ReadOnlySpan<string> compatible)
    {
        BeginNode($"{name}@{resources.Address.Value:x}").Strings("compatible", compatible).Cells64("reg", resources.Address.Value, size);
        if (resources.InterruptParent != 0)
            Cells("interrupt-parent", resources.InterruptParent).Cells("interrupts", resources.Interrupt);
        if (!resources.InterruptsExtended.IsEmpty)
            Cells("interrupts-extended", resources.InterruptsExtended.Span);
        if (resources.Phandle != 0)
            Cells("phandle", resources.Phandle);
        return this;
    }

    /// <summary>Ends the node that was begun last.</summary>
    /// <exception cref="InvalidOperationException">No node is open.</exception>
    public FdtBuilder EndNode()
    {
        CheckOpen();
        WriteCell(EndToken);
        _hasChild = true;
        _closed = --_depth == 0;
        return this;
    }

    /// <summary>Adds an empty property, whose presence is its meaning.</summary>
    public FdtBuilder Flag(string name) => Bytes(name, []);

    /// <summary>Adds a property of 32-bit cells.</summary>
    public FdtBuilder Cells(string name, params ReadOnlySpan<uint> cells)
    {
        byte[] bytes = new byte[cells.Length * 4];
        for (int i = 0; i < cells.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(i * 4), cells[i]);
        return Bytes(name, bytes);
    }

    /// <summary>Adds a property of 64-bit values, each two cells: addresses and sizes where both take two cells.</summary>
    public FdtBuilder Cells64(string name, params ReadOnlySpan<ulong> values)
    {
        byte[] bytes = new byte[values.Length * 8];
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), values[i]);
        return Bytes(name, bytes);
    }

    /// <summary>Adds a property of one or more null-terminated strings.</summary>
    /// <exception cref="ArgumentException">A value is <see langword="null"/> or contains a null character: its reader would take it for two.</exception>
    public FdtBuilder Strings(string name, params ReadOnlySpan<string> values)
    {
        var text = new StringBuilder();
        foreach (string value in values)
        {
            if (value is null || value.Contains('\0', StringComparison.Ordinal))
                throw new ArgumentException($"A string of property {name} is null or contains a null character.", nameof(values));
            text.Append(value).Append('\0');
        }

        return Bytes(name, Encoding.UTF8.GetBytes(text.ToString()));
    }

    /// <summary>Adds a property of raw bytes.</summary>
    /// <exception cref="ArgumentException">The name is empty or none as <see cref="BeginNode"/> takes.</exception>
    /// <exception cref="InvalidOperationException">No node is open, or it has a child node already: readers would not find the property.</exception>
    public FdtBuilder Bytes(string name, ReadOnlySpan<byte> value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        CheckName(name);
        CheckOpen();
        if (_hasChild)
            throw new InvalidOperationException($"Property {name} comes after a child node.");
        WriteCell(PropertyToken);
        WriteCell((uint)value.Length);
        WriteCell((uint)StringOffset(name));
        _structure.Write(value);
        Pad();
        return this;
    }

    /// <summary>The finished blob.</summary>
    /// <exception cref="InvalidOperationException">A node is open, or there is none.</exception>
    public byte[] ToArray()
    {
        if (!_closed)
            throw new InvalidOperationException("The root node has not been ended.");
        // An entry of zeros ends the reservations.
        int structureOffset = HeaderSize + _reservations.WrittenCount + ReservationSize;
        int structureSize = _structure.WrittenCount + 4;
        int stringsOffset = structureOffset + structureSize;
        byte[] blob = new byte[stringsOffset + _strings.WrittenCount];
        ReadOnlySpan<uint> header =
        [
            Magic, (uint)blob.Length, (uint)structureOffset, (uint)stringsOffset, HeaderSize, Version, LastCompatibleVersion, 0, (uint)_strings.WrittenCount,
            (uint)structureSize,
        ];
        for (int i = 0; i < header.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(blob.AsSpan(i * 4), header[i]);
        _reservations.WrittenSpan.CopyTo(blob.AsSpan(HeaderSize));
        _structure.WrittenSpan.CopyTo(blob.AsSpan(structureOffset));
        BinaryPrimitives.WriteUInt32BigEndian(blob.AsSpan(structureOffset + structureSize - 4), EndOfTree);
        _strings.WrittenSpan.CopyTo(blob.AsSpan(stringsOffset));
        return blob;
    }

    private static void CheckName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length > DeviceTree.MaxNameLength || name.Contains('/', StringComparison.Ordinal) || name.AsSpan().ContainsAnyExceptInRange('\x21', '\x7e'))
            throw new ArgumentException($"'{name}' is no name of a device tree: printable ASCII without '/', at most {DeviceTree.MaxNameLength} characters.", nameof(name));
    }

    private void CheckOpen()
    {
        if (_depth == 0)
            throw new InvalidOperationException("No node is open.");
    }

    private int StringOffset(string name)
    {
        if (!_stringOffsets.TryGetValue(name, out int offset))
        {
            offset = _strings.WrittenCount;
            _stringOffsets.Add(name, offset);
            _strings.Write(Encoding.ASCII.GetBytes(name));
            _strings.Write("\0"u8);
        }

        return offset;
    }

    private void WriteCell(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        _structure.Write(bytes);
    }

    private void Pad()
    {
        while (_structure.WrittenCount % 4 != 0)
            _structure.Write("\0"u8);
    }
}
