using VirtKit.Memory;

namespace VirtKit.Execution;

/// <summary>A CPU's context and slots in native memory, laid out for one engine. A core owns that of its CPU; the CPU's registers stand in the memory of the core that it is
/// attached to.</summary>
/// <remarks>Freed by its finalizer alone: kicks, pins and counters of a machine that was disposed of still find it.</remarks>
internal sealed unsafe class CpuMemory
{
    private readonly NativeBlock _block;
    private readonly int _slotBytes;

    /// <param name="size">The engine's part.</param>
    /// <param name="slotBytes">The size of the slots, which stand behind it.</param>
    public CpuMemory(ContextSize size, int slotBytes)
    {
        _block = NativeBlock.Zeroed(size.Before + size.Size + slotBytes);
        _slotBytes = slotBytes;
        Context = (CpuContext*)(_block.Pointer + size.Before);
        Slots = (ulong*)((byte*)Context + size.Size);
    }

    public CpuContext* Context { get; }

    public ulong* Slots { get; }

    /// <summary>Takes over what the CPU has in another engine's memory.</summary>
    public void CopyFrom(CpuMemory other)
    {
        *Context = *other.Context;
        Buffer.MemoryCopy(other.Slots, Slots, _slotBytes, _slotBytes);
    }
}
