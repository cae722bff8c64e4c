using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Accel.Kvm;

/// <summary>struct kvm_irqchip.</summary>
[StructLayout(LayoutKind.Explicit, Size = 520)]
internal struct KvmIrqchip
{
    public const uint PicMaster = 0, PicSlave = 1, Ioapic = 2;

    [FieldOffset(0)] public uint ChipId;
    [FieldOffset(8)] public KvmPicState ChipPic;
    [FieldOffset(8)] public KvmIoapicState ChipIoapic;
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmPicState
{
    public byte LastIrr, Irr, Imr, Isr, PriorityAdd, IrqBase, ReadRegSelect, Poll, SpecialMask, InitState, AutoEoi, RotateOnAutoEoi, SpecialFullyNestedMode, Init4, Elcr, ElcrMask;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmIoapicState
{
    public ulong BaseAddress;
    public uint Ioregsel, Id, Irr, Pad;
    public fixed ulong Redirtbl[24];
}

[StructLayout(LayoutKind.Sequential)]
internal struct KvmPitChannelState
{
    public uint Count;
    public ushort LatchedCount;
    public byte CountLatched, StatusLatched, Status, ReadState, WriteState, WriteLatch, RwMode, Mode, Bcd, Gate;
    public long CountLoadTime;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KvmPitState2
{
    public const uint SpeakerDataOn = 2;

    public ChannelList Channels;
    public uint Flags;
    public fixed uint Reserved[9];

    [InlineArray(3)]
    public struct ChannelList
    {
        private KvmPitChannelState _first;
    }
}
