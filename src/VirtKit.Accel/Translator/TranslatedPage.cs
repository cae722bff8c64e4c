using VirtKit.Memory;

namespace VirtKit.Accel.Translator;

/// <summary>The translations of one page of guest code as seen at one virtual page. The page's bytes are kept, and compared after a fence.i;
/// stores to code need no watching, because the architecture lets them show only then.</summary>
internal sealed unsafe class TranslatedPage : IDisposable
{
    private const int Entries = 2048;

    private readonly NativeBlock _block = NativeBlock.Zeroed(Size);
    private readonly byte* _bytes;
    private readonly int* _blocks;
    private NativeBlock? _loneBlock;
    private int* _lone;
    private ulong _generation;
    private ulong _nextPage;
    private ushort _nextHalf;

    public TranslatedPage(byte* host, ulong generation)
    {
        _bytes = _block.Pointer;
        _blocks = (int*)(_bytes + 0x1000);
        _generation = generation;
        Buffer.MemoryCopy(host, _bytes, 0x1000, 0x1000);
    }

    /// <summary>What it costs: native memory, and about what the object and its place in a dictionary take.</summary>
    public static int Size => 0x1000 + Entries * sizeof(int) + 128;

    /// <summary>What <see cref="AddLoneBlocks"/> costs in native memory.</summary>
    public static int LoneBlocksSize => Entries * sizeof(int);

    public ushort HalfAt(int offset) => *(ushort*)(_bytes + offset);

    /// <summary>The translation at an offset, as an offset into code memory, or 0.</summary>
    public ref int BlockAt(int offset) => ref _blocks[offset >> 1];

    /// <summary>Makes room for translations in which accesses share nothing, which few pages need.</summary>
    /// <returns>Whether there was none yet.</returns>
    public bool AddLoneBlocks()
    {
        if (_loneBlock is not null)
            return false;
        _loneBlock = NativeBlock.Zeroed(LoneBlocksSize);
        _lone = (int*)_loneBlock.Pointer;
        return true;
    }

    /// <summary>As <see cref="BlockAt"/>, for the translation in which accesses share nothing. After <see cref="AddLoneBlocks"/>.</summary>
    public ref int LoneBlockAt(int offset) => ref _lone[offset >> 1];

    /// <summary>Whether the instruction at an offset reaches into the next page.</summary>
    public bool Crosses(int offset) => offset == 0xffe && (HalfAt(offset) & 3) == 3;

    /// <summary>Drops the translation of the instruction that crosses the page's end if the second half of it is not this any more.</summary>
    public void ValidateNext(ulong nextPage, ushort nextHalf)
    {
        if (_nextPage == nextPage && _nextHalf == nextHalf)
            return;
        _nextPage = nextPage;
        _nextHalf = nextHalf;
        BlockAt(0xffe) = 0;
        if (_lone != null)
            LoneBlockAt(0xffe) = 0;
    }

    /// <summary>Drops the translations if the bytes are no longer those that they were made from.</summary>
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
        new Span<int>(_blocks, Entries).Clear();
        if (_lone != null)
            new Span<int>(_lone, Entries).Clear();
    }

    public void Dispose()
    {
        _block.Dispose();
        _loneBlock?.Dispose();
    }
}
