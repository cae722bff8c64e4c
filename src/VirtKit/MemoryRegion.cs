using VirtKit.Memory;

namespace VirtKit;

/// <summary>One mapping of an <see cref="AddressSpace"/>: RAM, ROM or a device's window. Immutable; valid until it is unmapped or the space is disposed.</summary>
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
    }

    /// <summary>A name for logs: the device's, or the one given to RAM.</summary>
    public string Name { get; }

    /// <summary>The first address.</summary>
    public Gpa Start { get; }

    /// <summary>The length in bytes.</summary>
    public ulong Size { get; }

    /// <summary>The device, or <see langword="null"/> for memory.</summary>
    public IDevice? Device { get; }

    /// <summary>Whether a guest's store changes the memory; <see langword="false"/> for ROM, whose stores fault. Always <see langword="true"/> for a device.</summary>
    public bool IsWritable { get; }

    /// <summary>Whether this is memory (RAM or ROM) rather than a device.</summary>
    public bool IsMemory => Memory is not null;

    /// <summary>The address of the first byte in the host's process, for engines that map guest memory; 0 for a device. Page-aligned.</summary>
    /// <remarks>A host that writes code uses the <see cref="AddressSpace"/>, which software engines ask whether code may have changed.</remarks>
    public nint HostAddress { get; }

    /// <summary>The memory file descriptor behind RAM on Linux, or -1. Owned by the region.</summary>
    public int FileDescriptor => Memory?.FileDescriptor ?? -1;

    internal HostMemory? Memory { get; }

    internal bool Contains(Gpa address) => address - Start < Size;
}
