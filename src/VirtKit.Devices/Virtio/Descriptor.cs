using System.Runtime.InteropServices;

namespace VirtKit.Devices.Virtio;

/// <summary>One entry of a descriptor table, as the guest lays it out (virtio-1.2 §2.7.5).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct Descriptor
{
    public const int Size = 16;
    public const ushort NextFlag = 1, WriteFlag = 2, IndirectFlag = 4;

    public readonly ulong Address;
    public readonly uint Length;
    public readonly ushort Flags;
    public readonly ushort Next;
}
