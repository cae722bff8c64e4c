using VirtKit.Memory;

namespace VirtKit.Interpreter;

/// <summary>The blocks of one page of guest code, as seen at one virtual page: addresses stand in the blocks. The page's bytes are kept, and compared after a fence.i;
/// stores to code need no watching, because the architecture lets them show only then.</summary>
internal sealed unsafe class CodePage : IDisposable
{
    private const int Entries = 2048;

    private readonly NativeBlock _block = NativeBlock.Zeroed(Size);
    private readonly byte* _bytes;
    private readonly Op** _blocks;
    private ulong _generation;

    public CodePage(byte* host, ulong virtualPage, ulong generation)
    {
        _bytes = _block.Pointer;
        _blocks = (Op**)(_bytes + 0x1000);
        VirtualPage = virtualPage;
        _generation = generation;
        Buffer.MemoryCopy(host, _bytes, 0x1000, 0x1000);
    }

    public ulong VirtualPage { get; }

    /// <summary>What it costs without its blocks: native memory, and about what the object and its place in a dictionary take.</summary>
    public static int Size => 0x1000 + Entries * sizeof(Op*) + 128;

    public ushort HalfAt(int offset) => *(ushort*)(_bytes + offset);

    public ref Op* BlockAt(int offset) => ref _blocks[offset >> 1];

    /// <summary>Drops the blocks if the bytes are no longer those that they were made from.</summary>
    public void Validate(byte* host, ulong generation)
    {
        if (_generation == generation)
            return;
        _generation = generation;
        var now = new ReadOnlySpan<byte>(host, 0x1000);
        var then = new Span<byte>(_bytes, 0x1000);
        if (now.SequenceEqual(then))
            return;
        now.CopyTo(then);
        new Span<nint>(_blocks, Entries).Clear();
    }

    public void Dispose() => _block.Dispose();
}
