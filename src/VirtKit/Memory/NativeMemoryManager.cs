using System.Buffers;

namespace VirtKit.Memory;

/// <summary>A piece of native memory as <see cref="Memory{T}"/>, for streams. The memory outlives it.</summary>
internal sealed unsafe class NativeMemoryManager(byte* pointer, int length) : MemoryManager<byte>
{
    public override Span<byte> GetSpan() => new(pointer, length);

    public override MemoryHandle Pin(int elementIndex = 0) => new(pointer + elementIndex);

    public override void Unpin() { }

    protected override void Dispose(bool disposing) { }
}
