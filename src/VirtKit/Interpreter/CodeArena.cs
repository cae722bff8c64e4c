using VirtKit.Memory;

namespace VirtKit.Interpreter;

/// <summary>Native memory that blocks are carved out of. Freed only as a whole.</summary>
internal sealed unsafe class CodeArena : IDisposable
{
    private const int ChunkSize = 1 << 20;

    private readonly List<NativeBlock> _chunks = [];
    private int _used = ChunkSize;

    public long Size => (long)_chunks.Count * ChunkSize;

    public Op* Allocate(int slots)
    {
        int size = slots * sizeof(Op);
        if (_used + size > ChunkSize)
        {
            _chunks.Add(new NativeBlock(ChunkSize));
            _used = 0;
        }

        var place = (Op*)(_chunks[^1].Pointer + _used);
        _used += size;
        return place;
    }

    public void Clear()
    {
        foreach (NativeBlock chunk in _chunks)
            chunk.Dispose();
        _chunks.Clear();
        _used = ChunkSize;
    }

    public void Dispose() => Clear();
}
