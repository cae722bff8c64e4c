using System.Runtime.InteropServices;

namespace VirtKit.Memory;

/// <summary>A block of the native heap with one owner, which frees it by <see cref="SafeHandle.Dispose()"/>; a block whose owner was forgotten is freed when the garbage
/// collector finds it. The pointer is valid as long as the owner refers to the block and has not disposed of it.</summary>
internal sealed unsafe class NativeBlock : SafeHandle
{
    private const int CacheLine = 64;

    private readonly bool _aligned;

    /// <summary>Allocates a block whose bytes are unspecified, at a multiple of 64.</summary>
    /// <param name="length">Its length in bytes.</param>
    public NativeBlock(nint length) : this(NativeMemory.AlignedAlloc((nuint)length, CacheLine), aligned: true) { }

    private NativeBlock(void* pointer, bool aligned) : base(0, ownsHandle: true)
    {
        _aligned = aligned;
        SetHandle((nint)pointer);
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
    public static NativeBlock LazilyZeroed(int length) => new(NativeMemory.AllocZeroed((nuint)length), aligned: false);

    protected override bool ReleaseHandle()
    {
        if (_aligned)
            NativeMemory.AlignedFree((void*)handle);
        else
            NativeMemory.Free((void*)handle);
        return true;
    }
}
