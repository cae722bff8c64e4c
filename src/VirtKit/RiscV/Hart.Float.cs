using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.RiscV;

/// <summary>Floating point in full: rounding modes, flags, NaN boxing (RV-Unpriv §20, §21).</summary>
internal sealed unsafe partial class Hart
{
    public override bool UseFloat()
    {
        if ((State.Mstatus & Mstatus.Fs) == 0)
            return IllegalInstruction();
        if ((State.Mstatus & Mstatus.Fs) != Mstatus.FsDirty)
        {
            State.Mstatus |= Mstatus.FsDirty;
            StatusChanged();
        }

        return true;
    }

    public override bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, ulong a, ulong b, ulong c, out ulong result)
    {
        result = 0;
        if (mode == RoundingMode.Dynamic)
            mode = (RoundingMode)(State.Fcsr >> 5 & 7);
        if (mode > RoundingMode.NearestMaxMagnitude)
            return IllegalInstruction();
        uint flags = 0;
        result = format == FloatFormat.Double ? Double(operation, mode, a, b, c, ref flags) : Single(operation, mode, a, b, c, ref flags);
        if ((State.Fcsr | flags) != State.Fcsr)
        {
            State.Fcsr |= flags;
            StatusChanged();
        }

        return true;
    }

    private static ulong Double(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags) => operation == FloatOperation.ConvertBoxed
        ? SoftFloat<Binary64, RiscVFloatRules>.FromFormat<Binary32>(NanBox.Unbox(a), mode, ref flags)
        : SoftFloat<Binary64, RiscVFloatRules>.Compute(operation, mode, a, b, c, ref flags);

    private static ulong Single(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags)
    {
        if (operation == FloatOperation.Convert)
            return NanBox.Box(SoftFloat<Binary32, RiscVFloatRules>.FromFormat<Binary64>(a, mode, ref flags));
        if (operation is FloatOperation.FromInt32 or FloatOperation.FromUInt32 or FloatOperation.FromInt64 or FloatOperation.FromUInt64)
            return NanBox.Box(SoftFloat<Binary32, RiscVFloatRules>.Compute(operation, mode, a, b, c, ref flags));
        ulong result = SoftFloat<Binary32, RiscVFloatRules>.Compute(operation, mode, NanBox.Unbox(a), NanBox.Unbox(b), NanBox.Unbox(c), ref flags);
        bool isInteger = operation is FloatOperation.Equal or FloatOperation.Less or FloatOperation.LessOrEqual or FloatOperation.Classify
            or FloatOperation.ToInt32 or FloatOperation.ToUInt32 or FloatOperation.ToInt64 or FloatOperation.ToUInt64;
        return isInteger ? result : NanBox.Box(result);
    }
}
