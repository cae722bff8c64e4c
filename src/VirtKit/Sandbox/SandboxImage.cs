using System.Buffers.Binary;
using System.Text;
using VirtKit.Boot;
using VirtKit.Execution;
using VirtKit.Memory;

namespace VirtKit.Sandboxing;

/// <summary>A program as it is loaded into a window: its layout, its bytes, and the functions that it exports and imports by name. Immutable once it is loaded.</summary>
internal sealed unsafe class SandboxImage
{
    /// <summary>The longest name of a function, in bytes.</summary>
    private const int LongestName = 255;

    private readonly Dictionary<string, ulong> _exports = new(StringComparer.Ordinal);

    /// <param name="elf">The program.</param>
    /// <param name="memory">How many bytes it may have.</param>
    /// <param name="stack">How many of these are its stack.</param>
    /// <exception cref="InvalidImageException">It cannot run in a sandbox; the message says why.</exception>
    public SandboxImage(ElfImage elf, ulong memory, ulong stack)
    {
        if (ElfRelocations.NeedLibraries(elf.Dynamic))
            throw new InvalidImageException("The program needs shared libraries: link it with -static or -static-pie.");
        Elf = elf;
        Layout = new SandboxLayout(elf, memory, stack);
    }

    public ElfImage Elf { get; }

    public SandboxLayout Layout { get; }

    /// <summary>The names that the program imports, by number.</summary>
    public string[] Imports { get; private set; } = [];

    /// <summary>The first byte of the table of imports, whose entries are 16 bytes long; 0 for none.</summary>
    public ulong ImportTable { get; private set; }

    /// <summary>What the global pointer has to be, or 0.</summary>
    public ulong GlobalPointer { get; private set; }

    /// <summary>Writes the program into its window and says which pages it has.</summary>
    /// <param name="window">Zeroed memory of the layout's size.</param>
    public UserRange[] Load(HostMemory window)
    {
        // The window of a program that is linked far up is longer than a span can be.
        byte* bytes = window.Pointer;
        var space = new UserSpace(Layout.Size);
        foreach (ElfSegment segment in Elf.Segments)
        {
            if (segment.MemorySize == 0)
                continue;
            ulong start = segment.VirtualAddress.Value + Layout.Bias, first = SandboxLayout.PageOf(start), end = SandboxLayout.RoundUp(start + segment.MemorySize);
            if (!space.IsFree(first, end - first))
                throw new InvalidImageException($"Two segments of the program share the page at 0x{first:x}.");
            // SAFETY: the layout has checked that the segment lies in the window.
            segment.Content.Span.CopyTo(new Span<byte>(bytes + start, segment.Content.Length));
            space.Map(first, end - first, segment.Access);
        }

        if (Elf.IsPositionIndependent)
            ElfRelocations.Apply(Elf.Dynamic, new Span<byte>(bytes, (int)Math.Min(Layout.HeapStart, int.MaxValue)), Layout.Bias);
        space.Map(Layout.StackStart, Layout.StackTop - Layout.StackStart, ElfAccess.Read | ElfAccess.Write);
        ReadNames(window, space);
        return space.Ranges;
    }

    /// <summary>Finds a function by name: of those that the program exports, else of its symbols.</summary>
    public bool TryFindFunction(string name, out ulong address)
    {
        if (_exports.TryGetValue(name, out address))
            return true;
        bool found = Elf.TryFindSymbol(name, out Gva value);
        address = value.Value + Layout.Bias;
        return found;
    }

    /// <summary>Names an address of the program.</summary>
    public bool TryFindSymbol(ulong address, out ElfSymbol symbol) => Elf.TryFindSymbol(new Gva(address - Layout.Bias), out symbol);

    private void ReadNames(HostMemory window, UserSpace space)
    {
        foreach ((string name, ulong value) in ReadTable(window, space, ".virtkit.exports"u8, out _))
            _exports[name] = value;
        Imports = [.. ReadTable(window, space, ".virtkit.imports"u8, out ulong table).Select(entry => entry.Name)];
        ImportTable = table;
        // SAFETY: the table was read, so that all of it is there.
        for (int i = 0; i < Imports.Length; i++)
            *(ulong*)(window.Pointer + table + (ulong)i * 16 + 8) = Layout.HostGate;
        GlobalPointer = TryFindFunction("__global_pointer$", out ulong pointer) ? pointer : 0;
    }

    /// <summary>Reads a table of pairs: the address of a name, and a value (virtkit.h).</summary>
    private List<(string Name, ulong Value)> ReadTable(HostMemory window, UserSpace space, ReadOnlySpan<byte> section, out ulong table)
    {
        var entries = new List<(string Name, ulong Value)>();
        table = 0;
        if (!Elf.TryFindSection(section, out Gva address, out ReadOnlyMemory<byte> content))
            return entries;
        table = address.Value + Layout.Bias;
        if (!space.Allows(table, (ulong)content.Length, ElfAccess.Read))
            throw new InvalidImageException($"The program's section {Encoding.ASCII.GetString(section)} is not loaded.");
        for (ulong at = table; at - table + 16 <= (ulong)content.Length; at += 16)
        {
            // SAFETY: the section lies in mapped pages of the window.
            var pair = new ReadOnlySpan<byte>(window.Pointer + at, 16);
            ulong name = BinaryPrimitives.ReadUInt64LittleEndian(pair);
            int length = (int)space.Reach(name, LongestName + 1, ElfAccess.Read);
            // SAFETY: as many bytes are readable.
            var text = new ReadOnlySpan<byte>(window.Pointer + (length == 0 ? 0 : name), length);
            int end = text.IndexOf((byte)0);
            if (end <= 0)
                throw new InvalidImageException($"The program's section {Encoding.ASCII.GetString(section)} has an entry without a name.");
            entries.Add((Encoding.UTF8.GetString(text[..end]), BinaryPrimitives.ReadUInt64LittleEndian(pair[8..])));
        }

        return entries;
    }
}
