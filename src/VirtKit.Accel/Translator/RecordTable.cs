using VirtKit.Memory;

namespace VirtKit.Accel.Translator;

/// <summary>A native array that translated code's indices point into; filled from the front, emptied as a whole. Memory is committed as it is touched where the host does so.
/// It may go on where another one ends, which is filled no more.</summary>
internal sealed unsafe class RecordTable<T> : IDisposable where T : unmanaged
{
    private readonly NativeBlock _block;
    private readonly T* _records;
    private readonly int _capacity;
    private readonly RecordTable<T>? _before;

    public RecordTable(int capacity, RecordTable<T>? before = null)
    {
        _capacity = capacity;
        _before = before;
        First = before?.Next ?? 0;
        _block = new NativeBlock((nint)capacity * sizeof(T));
        _records = (T*)_block.Pointer;
    }

    /// <summary>The first index that is this table's own.</summary>
    public int First { get; }

    /// <summary>How many records are its own.</summary>
    public int Count { get; private set; }

    private int Next => First + Count;

    public int Room => _capacity - Count;

    public ref T this[int index]
    {
        get
        {
            if (index >= First)
                return ref _records[index - First];
            return ref _before![index];
        }
    }

    public int Add(in T record)
    {
        _records[Count] = record;
        return First + Count++;
    }

    public void Clear() => Count = 0;

    public void Dispose() => _block.Dispose();
}
