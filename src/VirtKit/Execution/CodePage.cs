using System.Numerics;
using VirtKit.Memory;

namespace VirtKit.Execution;

/// <summary>The blocks that an engine has decoded or translated from one page of guest code, as seen at one virtual page: for each offset the engine's number of the block. A copy of the page's
/// bytes is kept, and compared when code may have changed; stores to code need no watching where the architecture lets them show only behind a fence.</summary>
internal sealed unsafe class CodePage : ICodeSource, IDisposable
{
    private readonly GuestInstructions _instructions;
    private readonly NativeBlock _block;
    private readonly byte* _bytes;
    private readonly int* _blocks;
    private readonly ulong _virtualPage;
    private readonly int _shift;
    private NativeBlock? _oneOffBlock;
    private int* _oneOffs;
    private ulong _generation;
    private ulong _nextPage = ulong.MaxValue;
    private bool _readsNext;

    public CodePage(GuestInstructions instructions, ulong virtualPage, byte* host, ulong generation)
    {
        _instructions = instructions;
        _virtualPage = virtualPage;
        _shift = BitOperations.Log2((uint)instructions.Alignment);
        _generation = generation;
        _block = NativeBlock.Zeroed(SizeOf(instructions));
        _bytes = _block.Pointer;
        _blocks = (int*)(_bytes + 0x1000 + NextBytes);
        Buffer.MemoryCopy(host, _bytes, 0x1000, 0x1000);
    }

    /// <summary>Room for what an instruction may have in the next page.</summary>
    private const int NextBytes = GuestInstructions.LongestLength;

    private int Entries => EntriesOf(_instructions);

    /// <summary>What a page costs without its blocks: native memory, and about what the object and its place in a dictionary take.</summary>
    public static int SizeOf(GuestInstructions instructions) => 0x1000 + NextBytes + EntriesOf(instructions) * sizeof(int) + 128;

    /// <summary>What <see cref="AddOneOffBlocks"/> costs in native memory.</summary>
    public int OneOffBlocksSize => Entries * sizeof(int);

    /// <summary>The block at an offset, or 0.</summary>
    public ref int BlockAt(int offset) => ref _blocks[offset >> _shift];

    /// <summary>Makes room for a second block at each offset: the translator's in which every access has its own TLB lookup, which few pages need.</summary>
    /// <returns>Whether there was none yet.</returns>
    public bool AddOneOffBlocks()
    {
        if (_oneOffBlock is not null)
            return false;
        _oneOffBlock = NativeBlock.Zeroed(OneOffBlocksSize);
        _oneOffs = (int*)_oneOffBlock.Pointer;
        return true;
    }

    /// <summary>As <see cref="BlockAt"/>, for the second block. After <see cref="AddOneOffBlocks"/>.</summary>
    public ref int OneOffBlockAt(int offset) => ref _oneOffs[offset >> _shift];

    /// <summary>The block at an offset, or 0, of a page that changes no more. Any thread.</summary>
    /// <param name="offset">The offset.</param>
    /// <param name="oneOff">Whether the second block is meant.</param>
    public int PeekBlock(int offset, bool oneOff) => oneOff ? _oneOffs == null ? 0 : OneOffBlockAt(offset) : BlockAt(offset);

    /// <summary>Whether the blocks are of these bytes.</summary>
    /// <param name="host">The page's bytes now.</param>
    public bool Has(byte* host) => new ReadOnlySpan<byte>(host, 0x1000).SequenceEqual(new ReadOnlySpan<byte>(_bytes, 0x1000));

    /// <summary>Begins reading at an offset.</summary>
    /// <returns>Whether the instruction there reaches into the next page, of which <see cref="ContinueWith"/> has to tell first.</returns>
    public bool BeginAt(int offset)
    {
        _readsNext = false;
        return offset > 0x1000 - _instructions.MaxLength && !_instructions.TryDecode(new ReadOnlySpan<byte>(_bytes + offset, 0x1000 - offset), out _);
    }

    /// <summary>Takes the beginning of the next page, for the one instruction that crosses into it, and drops the blocks of instructions that cross into it if it is another one now.</summary>
    /// <param name="nextPage">Its guest physical address.</param>
    /// <param name="host">Its bytes.</param>
    public void ContinueWith(ulong nextPage, byte* host)
    {
        var now = new ReadOnlySpan<byte>(host, _instructions.MaxLength - 1);
        var then = new Span<byte>(_bytes + 0x1000, now.Length);
        _readsNext = true;
        if (_nextPage == nextPage && now.SequenceEqual(then))
            return;
        now.CopyTo(then);
        _nextPage = nextPage;
        for (int offset = 0x1000 - _instructions.MaxLength + _instructions.Alignment; offset < 0x1000; offset += _instructions.Alignment)
        {
            BlockAt(offset) = 0;
            if (_oneOffs != null)
                OneOffBlockAt(offset) = 0;
        }
    }

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
        new Span<int>(_blocks, Entries).Clear();
        if (_oneOffs != null)
            new Span<int>(_oneOffs, Entries).Clear();
    }

    /// <summary>Code of this page; of the next one only behind <see cref="ContinueWith"/>.</summary>
    public int Read(ulong address, Span<byte> bytes)
    {
        ulong offset = address - _virtualPage, end = !_readsNext ? 0x1000 : 0x1000 + (ulong)_instructions.MaxLength - 1;
        if (offset >= end)
            return 0;
        int count = (int)Math.Min((ulong)bytes.Length, end - offset);
        new ReadOnlySpan<byte>(_bytes + offset, count).CopyTo(bytes);
        return count;
    }

    public void Dispose()
    {
        _block.Dispose();
        _oneOffBlock?.Dispose();
    }

    private static int EntriesOf(GuestInstructions instructions) => 0x1000 / instructions.Alignment;
}
