using VirtKit.Memory;

namespace VirtKit.Interpreter;

/// <summary>Native memory from which blocks are allocated, and which is freed only as a whole. Each allocation has a number other than 0.</summary>
internal sealed unsafe class CodeArena : IDisposable
{
    private const int ChunkShift = 16, ChunkSlots = 1 << ChunkShift;

    private readonly List<NativeBlock> _chunks = [];
    private int _used = ChunkSlots;

    public long Size => (long)_chunks.Count * ChunkSlots * sizeof(Op);

    /// <summary>The number of the last allocation.</summary>
    public int Last { get; private set; }

    public Op* At(int place) => (Op*)_chunks[place >> ChunkShift].Pointer + (place & (ChunkSlots - 1));

    public Op* Allocate(int slots)
    {
        if (_used + slots > ChunkSlots)
        {
            _chunks.Add(new NativeBlock(ChunkSlots * sizeof(Op)));
            _used = 1;
        }

        Last = (_chunks.Count - 1) << ChunkShift | _used;
        _used += slots;
        return At(Last);
    }

    public void Clear()
    {
        foreach (NativeBlock chunk in _chunks)
            chunk.Dispose();
        _chunks.Clear();
        _used = ChunkSlots;
    }

    public void Dispose() => Clear();
}
