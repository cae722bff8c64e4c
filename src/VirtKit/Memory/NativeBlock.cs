using System.Runtime.InteropServices;

namespace VirtKit.Memory;

/// <summary>A block of the native heap with one owner, which frees it by <see cref="SafeHandle.Dispose()"/>; a block whose owner was forgotten is freed when the garbage
/// collector finds it. The pointer is valid as long as the owner refers to the block and has not disposed of it.</summary>
internal sealed unsafe class NativeBlock : SafeHandle
{
    private const int CacheLine = 64;

    /// <summary>Allocates a block whose bytes are unspecified, at a multiple of 64.</summary>
    /// <param name="length">Its length in bytes.</param>
    public NativeBlock(nint length) : base(0, ownsHandle: true) => SetHandle((nint)NativeMemory.AlignedAlloc((nuint)length, CacheLine));

    public byte* Pointer => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    /// <summary>A block of zeroes.</summary>
    public static NativeBlock Zeroed(int length)
    {
        var block = new NativeBlock(length);
        new Span<byte>(block.Pointer, length).Clear();
        return block;
    }

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
