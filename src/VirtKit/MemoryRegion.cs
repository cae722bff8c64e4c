using VirtKit.Memory;
using VirtKit.State;

namespace VirtKit;

/// <summary>One mapping of an <see cref="AddressSpace"/>: RAM, ROM or a device's window. Immutable; valid until it is unmapped or its machine is disposed of.</summary>
public sealed unsafe class MemoryRegion
{
    internal MemoryRegion(string name, Gpa start, ulong size, HostMemory? memory, IDevice? device, bool writable)
    {
        Name = name;
        Start = start;
        Size = size;
        Memory = memory;
        HostAddress = memory is null ? 0 : (nint)memory.Pointer;
        Device = device;
        IsWritable = writable;
        // Asked once: a window is constant, and every access to the device needs it.
        DeviceWindow window = device?.Window ?? default;
        (Widths, Undeclared) = (window.Widths, window.Undeclared);
    }

    /// <summary>A name for logs: the device's, or the one given to RAM.</summary>
    public string Name { get; }

    /// <summary>The first address.</summary>
    public Gpa Start { get; }

    /// <summary>The length in bytes.</summary>
    public ulong Size { get; }

    /// <summary>The device, or <see langword="null"/> for memory.</summary>
    public IDevice? Device { get; }

    /// <summary>Whether a guest's store changes the memory; <see langword="false"/> for ROM, which ignores it. Always <see langword="true"/> for a device.</summary>
    public bool IsWritable { get; }

    /// <summary>Whether this is memory (RAM or ROM) rather than a device.</summary>
    public bool IsMemory => Memory is not null;

    /// <summary>The address of the first byte in the host's process, for engines that map guest memory; 0 for a device. Page-aligned. It holds the guest's bytes as long
    /// as the region is mapped, and is nobody else's as long as anything refers to this object.</summary>
    /// <remarks>A host that writes code uses the <see cref="AddressSpace"/>, which software engines ask whether code may have changed.</remarks>
    public nint HostAddress { get; }

    /// <summary>The memory file descriptor behind RAM on Linux, or -1: also for a device, and once the region is no longer mapped. Owned by the region.</summary>
    internal int FileDescriptor => Memory?.FileDescriptor ?? -1;

    internal HostMemory? Memory { get; }

    /// <summary>The content that was captured or restored last, by the machine's owner: what is the same in the next one is shared with it.</summary>
    internal WeakReference<SnapshotRegion>? Captured { get; set; }

    /// <summary>What a device's window declares.</summary>
    internal AccessWidths Widths { get; }

    internal UndeclaredAccess Undeclared { get; }

    internal bool Contains(Gpa address) => address - Start < Size;

    /// <summary>Whether the device takes an access as it is.</summary>
    internal bool Declares(Gpa address, int size) => ((int)Widths & size) != 0 && IsAligned(address, size);

    /// <summary>The widest declared width up to <paramref name="size"/> that is aligned at the address, or 0.</summary>
    internal int WidestPart(Gpa address, int size)
    {
        for (int width = size; width > 0; width >>= 1)
        {
            if (Declares(address, width))
                return width;
        }

        return 0;
    }

    /// <summary>Whether <see cref="UndeclaredAccess.Split"/> can begin to carry the access out in parts.</summary>
    internal bool CanSplit(Gpa address, int size)
    {
        int narrowest = (int)Widths & -(int)Widths;
        return size > narrowest && Declares(address, narrowest);
    }

    /// <summary>The declared width with which <see cref="UndeclaredAccess.Pad"/> reaches the register at the address, or 0.</summary>
    internal int PaddedWidth(Gpa address, int size)
    {
        if (!IsAligned(address, size))
            return 0;
        int narrower = WidestPart(address, size), narrowest = (int)Widths & -(int)Widths;
        return narrower != 0 ? narrower : Declares(address, narrowest) ? narrowest : 0;
    }

    private bool IsAligned(Gpa address, int size)
    {
        ulong offset = address - Start;
        return (offset & ((ulong)size - 1)) == 0 && (ulong)size <= Size - offset;
    }
}
