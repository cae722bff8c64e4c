using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>A hart's slots: the architectural state, which begins with x0 to x31 and f0 to f31, and behind it what takes the writes to x0. Its <see cref="RiscVState.Pc"/> is
/// <see cref="CpuContext.Pc"/> while the hart runs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RiscVSlots
{
    /// <summary>The slot of f0; that of x0 is 0.</summary>
    public const int F0 = 32;

    public RiscVState State;

    public ulong SinkValue;

    /// <summary>Where fcsr stands, in bytes from slot 0.</summary>
    public static int FcsrOffset
    {
        get
        {
            RiscVSlots slots = default;
            return (int)((byte*)&slots.State.Fcsr - (byte*)&slots);
        }
    }

    /// <summary>The slot that takes the writes to x0.</summary>
    public static int Sink => Unsafe.SizeOf<RiscVState>() / 8;
}
