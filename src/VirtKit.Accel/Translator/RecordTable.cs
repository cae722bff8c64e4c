using VirtKit.Memory;

namespace VirtKit.Accel.Translator;

/// <summary>A native array of records, to which translated code refers by index; filled from the front, cleared as a whole. The host commits its memory as it is touched.
/// Its indices may continue those of a frozen layer's table.</summary>
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
