using System.Runtime.InteropServices;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Memory;

/// <summary>A block of the native heap with one owner, which frees it by <see cref="SafeHandle.Dispose()"/>; a block whose owner was forgotten is freed when the garbage
/// collector finds it. The pointer is valid as long as the owner refers to the block and has not disposed of it.</summary>
internal sealed unsafe class NativeBlock : SafeHandle
{
    private const int CacheLine = 64;

    private readonly Origin _origin;
    private readonly nuint _length;

    /// <summary>Allocates a block whose bytes are unspecified, at a multiple of 64.</summary>
    /// <param name="length">Its length in bytes.</param>
    public NativeBlock(nint length) : this(NativeMemory.AlignedAlloc((nuint)length, CacheLine), (nuint)length, Origin.AlignedHeap) { }

    private NativeBlock(void* pointer, nuint length, Origin origin) : base(0, ownsHandle: true)
    {
        _origin = origin;
        _length = length;
        SetHandle((nint)pointer);
    }

    private enum Origin : byte
    {
        Heap,
        AlignedHeap,
        Pages,
    }

    public byte* Pointer => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    /// <summary>A block of zeroes.</summary>
    public static NativeBlock Zeroed(int length)
    {
        var block = new NativeBlock(length);
        new Span<byte>(block.Pointer, length).Clear();
        return block;
    }

    /// <summary>A block of zeroes at a multiple of 16, whose pages the host commits as they are touched, if it is large: for tables that are never filled whole.</summary>
    public static NativeBlock LazilyZeroed(int length)
    {
        // From the kernel itself where that is Linux: the heap clears, and so touches, what was freed to it before.
        if (OperatingSystem.IsLinux() && mmap(0, (nuint)length, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapNoReserve, -1, 0) is var pages and not -1)
            return new NativeBlock((void*)pages, (nuint)length, Origin.Pages);
        return new NativeBlock(NativeMemory.AllocZeroed((nuint)length), (nuint)length, Origin.Heap);
    }

    protected override bool ReleaseHandle()
    {
        switch (_origin)
        {
            case Origin.Pages:
                return munmap(handle, _length) == 0;
            case Origin.AlignedHeap:
                NativeMemory.AlignedFree((void*)handle);
                return true;
            default:
                NativeMemory.Free((void*)handle);
                return true;
        }
    }
}
