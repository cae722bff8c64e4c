using System.Runtime.InteropServices;

namespace VirtKit.Accel.Translator;

/// <summary>A native array that translated code's indices point into; filled from the front, emptied as a whole. Memory is committed as it is touched where the host does so.</summary>
internal sealed unsafe class RecordTable<T>(int capacity) : IDisposable where T : unmanaged
{
    private readonly T* _records = (T*)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(T));

    public int Count { get; private set; }

    public int Room => capacity - Count;

    public ref T this[int index] => ref _records[index];

    public int Add(in T record)
    {
        _records[Count] = record;
        return Count++;
    }

    public void Clear() => Count = 0;

    public void Dispose() => NativeMemory.Free(_records);
}
