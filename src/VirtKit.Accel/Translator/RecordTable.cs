using VirtKit.Memory;

namespace VirtKit.Accel.Translator;

/// <summary>A native array that translated code's indices point into; filled from the front, emptied as a whole. Memory is committed as it is touched where the host does so.</summary>
internal sealed unsafe class RecordTable<T> : IDisposable where T : unmanaged
{
    private readonly NativeBlock _block;
    private readonly T* _records;
    private readonly int _capacity;

    public RecordTable(int capacity)
    {
        _capacity = capacity;
        _block = new NativeBlock((nint)capacity * sizeof(T));
        _records = (T*)_block.Pointer;
    }

    public int Count { get; private set; }

    public int Room => _capacity - Count;

    public ref T this[int index] => ref _records[index];

    public int Add(in T record)
    {
        _records[Count] = record;
        return Count++;
    }

    public void Clear() => Count = 0;

    public void Dispose() => _block.Dispose();
}
