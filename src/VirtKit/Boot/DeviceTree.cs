using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>A flattened device tree that has been read and checked (Devicetree Specification 0.4, §5).</summary>
/// <remarks>Immutable and thread-safe. Values are views of the blob, which the caller does not change meanwhile.</remarks>
public sealed class DeviceTree
{
    /// <summary>The deepest nesting that is accepted, the root included.</summary>
    public const int MaxDepth = 64;

    /// <summary>The longest name of a node or property that is accepted, in bytes. The specification allows 31.</summary>
    public const int MaxNameLength = 255;

    private const uint Magic = 0xd00dfeed, LastVersion = 17;
    private const uint BeginToken = 1, EndToken = 2, PropertyToken = 3, NopToken = 4, EndOfTree = 9;
    private const int HeaderSize = 40;

    private DeviceTree(DeviceTreeNode root, (Gpa Start, ulong Size)[] reservations, uint bootCpu)
    {
        Root = root;
        Reservations = reservations;
        BootCpu = bootCpu;
    }

    /// <summary>The root node, whose name is empty.</summary>
    public DeviceTreeNode Root { get; }

    /// <summary>The memory reservation block.</summary>
    public IReadOnlyList<(Gpa Start, ulong Size)> Reservations { get; }

    /// <summary>The physical ID of the boot CPU.</summary>
    public uint BootCpu { get; }

    /// <summary>Reads a blob. Time and memory are proportional to its size.</summary>
    /// <param name="blob">The blob; bytes after the size that its header tells are ignored.</param>
    /// <exception cref="InvalidImageException">Malformed, truncated, or past one of the limits of this class.</exception>
    public static DeviceTree Parse(ReadOnlyMemory<byte> blob)
    {
        if (blob.Length < HeaderSize || Cell(blob.Span, 0) != Magic)
            throw new InvalidImageException("Not a flattened device tree.");
        uint total = Cell(blob.Span, 4);
        if (total < HeaderSize || total > (uint)blob.Length)
            throw new InvalidImageException($"The device tree is truncated: {total} bytes announced, {blob.Length} there.");
        blob = blob[..(int)total];
        ReadOnlySpan<byte> header = blob.Span;
        uint version = Cell(header, 20), lastCompatible = Cell(header, 24);
        if (version < LastVersion || lastCompatible > LastVersion)
            throw new InvalidImageException($"The device tree has version {version}, compatible back to {lastCompatible}; {LastVersion} is known.");
        ReadOnlyMemory<byte> structure = Slice(blob, Cell(header, 8), Cell(header, 36), "structure");
        ReadOnlyMemory<byte> strings = Slice(blob, Cell(header, 12), Cell(header, 32), "strings");
        return new DeviceTree(new Reader(structure, strings.Span).ReadTree(), ReadReservations(header), Cell(header, 28));
    }

    /// <summary>Finds a node by its path.</summary>
    /// <param name="path">Names with their unit addresses from the root, <c>/soc/serial@10000000</c>; <c>/</c> is the root.</param>
    /// <returns>The node, or <see langword="null"/>.</returns>
    public DeviceTreeNode? Find(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        DeviceTreeNode? node = Root;
        foreach (string name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
            node = node?.Children.FirstOrDefault(child => child.Name == name);
        return node;
    }

    internal static uint Cell(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32BigEndian(bytes[offset..]);

    private static (Gpa Start, ulong Size)[] ReadReservations(ReadOnlySpan<byte> blob)
    {
        var reservations = new List<(Gpa, ulong)>();
        for (ulong at = Cell(blob, 16); at % 8 == 0 && at + 16 <= (ulong)blob.Length; at += 16)
        {
            ulong start = BinaryPrimitives.ReadUInt64BigEndian(blob[(int)at..]), size = BinaryPrimitives.ReadUInt64BigEndian(blob[((int)at + 8)..]);
            if (start == 0 && size == 0)
                return [.. reservations];
            reservations.Add((new Gpa(start), size));
        }

        throw new InvalidImageException("The device tree's memory reservation block is not aligned or has no end.");
    }

    private static ReadOnlyMemory<byte> Slice(ReadOnlyMemory<byte> blob, uint offset, uint size, string what)
    {
        if (offset % (what == "structure" ? 4u : 1u) != 0 || offset > (uint)blob.Length || size > (uint)blob.Length - offset)
            throw new InvalidImageException($"The device tree's {what} block at {offset}, {size} bytes, does not lie inside its {blob.Length} bytes.");
        return blob.Slice((int)offset, (int)size);
    }

    /// <summary>Reads the structure block, token by token (§5.4).</summary>
    private ref struct Reader(ReadOnlyMemory<byte> structure, ReadOnlySpan<byte> strings)
    {
        private readonly ReadOnlySpan<byte> _strings = strings;
        private readonly Dictionary<uint, string> _names = [];
        private int _at;

        public DeviceTreeNode ReadTree()
        {
            var open = new Stack<DeviceTreeNode>();
            DeviceTreeNode? root = null;
            while (true)
            {
                switch (NextCell())
                {
                    case BeginToken when root is null || open.Count is > 0 and < MaxDepth:
                        var node = new DeviceTreeNode(ReadNodeName());
                        if (open.TryPeek(out DeviceTreeNode? parent))
                            parent.Add(node);
                        root ??= node;
                        open.Push(node);
                        break;
                    case PropertyToken when open.TryPeek(out DeviceTreeNode? owner):
                        owner.Add(ReadProperty());
                        break;
                    case EndToken when open.TryPop(out _):
                    case NopToken:
                        break;
                    case EndOfTree when root is not null && open.Count == 0:
                        return root;
                    default:
                        throw new InvalidImageException($"The device tree's structure is malformed or deeper than {MaxDepth} nodes, before offset {_at}.");
                }
            }
        }

        private uint NextCell()
        {
            if (structure.Length - _at < 4)
                throw new InvalidImageException("The device tree's structure block has no end.");
            uint value = Cell(structure.Span, _at);
            _at += 4;
            return value;
        }

        private DeviceTreeProperty ReadProperty()
        {
            uint length = NextCell(), nameOffset = NextCell();
            if (length > (uint)(structure.Length - _at))
                throw new InvalidImageException($"A device tree property of {length} bytes is truncated.");
            ReadOnlyMemory<byte> value = structure.Slice(_at, (int)length);
            Skip((int)length);
            if (!_names.TryGetValue(nameOffset, out string? name))
            {
                if (nameOffset >= (uint)_strings.Length)
                    throw new InvalidImageException("A device tree property has its name outside the strings block.");
                name = ReadName(_strings[(int)nameOffset..]);
                _names.Add(nameOffset, name);
            }

            return name.Length > 0 ? new DeviceTreeProperty(name, value) : throw new InvalidImageException("A device tree property has no name.");
        }

        private string ReadNodeName()
        {
            string name = ReadName(structure.Span[_at..]);
            Skip(name.Length + 1);
            return name;
        }

        private static string ReadName(ReadOnlySpan<byte> text)
        {
            int length = text[..Math.Min(text.Length, MaxNameLength + 1)].IndexOf((byte)0);
            if (length < 0 || text[..length].ContainsAnyExceptInRange((byte)0x20, (byte)0x7e))
                throw new InvalidImageException($"A device tree name is not ASCII, not terminated, or longer than {MaxNameLength} bytes.");
            return Encoding.ASCII.GetString(text[..length]);
        }

        /// <summary>Moves on, to the next multiple of 4; past the end the next token is missing.</summary>
        private void Skip(int length) => _at = Math.Min(structure.Length, (_at + length + 3) & ~3);
    }
}
