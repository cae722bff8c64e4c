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

    public override bool Float(FloatOperation operation, FloatFormat format, int roundingMode, ulong a, ulong b, ulong c, out ulong result)
    {
        result = 0;
        int mode = roundingMode == 7 ? (int)(State.Fcsr >> 5 & 7) : roundingMode;
        if (mode > (int)RoundingMode.NearestMaxMagnitude)
            return IllegalInstruction();
        uint flags = 0;
        result = format == FloatFormat.Double
            ? Double(operation, (RoundingMode)mode, a, b, c, ref flags)
            : Single(operation, (RoundingMode)mode, a, b, c, ref flags);
        if ((State.Fcsr | flags) != State.Fcsr)
        {
            State.Fcsr |= flags;
            StatusChanged();
        }

        return true;
    }

    private static ulong Double(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags) => operation == FloatOperation.ConvertBoxed
        ? SoftFloat<Binary64>.FromFormat<Binary32>(NanBox.Unbox(a), mode, ref flags)
        : Compute<Binary64>(operation, mode, a, b, c, ref flags);

    private static ulong Single(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags)
    {
        if (operation == FloatOperation.Convert)
            return NanBox.Box(SoftFloat<Binary32>.FromFormat<Binary64>(a, mode, ref flags));
        if (operation is FloatOperation.FromInt32 or FloatOperation.FromUInt32 or FloatOperation.FromInt64 or FloatOperation.FromUInt64)
            return NanBox.Box(Compute<Binary32>(operation, mode, a, b, c, ref flags));
        ulong result = Compute<Binary32>(operation, mode, NanBox.Unbox(a), NanBox.Unbox(b), NanBox.Unbox(c), ref flags);
        bool isInteger = operation is FloatOperation.Equal or FloatOperation.Less or FloatOperation.LessOrEqual or FloatOperation.Classify
            or FloatOperation.ToInt32 or FloatOperation.ToUInt32 or FloatOperation.ToInt64 or FloatOperation.ToUInt64;
        return isInteger ? result : NanBox.Box(result);
    }

    private static ulong Compute<F>(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags) where F : struct, IFloatFormat
    {
        ulong sign = SoftFloat<F>.SignBit;
        return operation switch
        {
            FloatOperation.Add => SoftFloat<F>.Add(a, b, mode, ref flags),
            FloatOperation.Subtract => SoftFloat<F>.Subtract(a, b, mode, ref flags),
            FloatOperation.Multiply => SoftFloat<F>.Multiply(a, b, mode, ref flags),
            FloatOperation.Divide => SoftFloat<F>.Divide(a, b, mode, ref flags),
            FloatOperation.SquareRoot => SoftFloat<F>.SquareRoot(a, mode, ref flags),
            FloatOperation.MultiplyAdd => SoftFloat<F>.FusedMultiplyAdd(a, b, c, mode, ref flags),
            FloatOperation.MultiplySubtract => SoftFloat<F>.FusedMultiplyAdd(a, b, c ^ sign, mode, ref flags),
            FloatOperation.NegatedMultiplyAdd => SoftFloat<F>.FusedMultiplyAdd(a ^ sign, b, c ^ sign, mode, ref flags),
            FloatOperation.NegatedMultiplySubtract => SoftFloat<F>.FusedMultiplyAdd(a ^ sign, b, c, mode, ref flags),
            FloatOperation.Minimum => SoftFloat<F>.Minimum(a, b, ref flags),
            FloatOperation.Maximum => SoftFloat<F>.Maximum(a, b, ref flags),
            FloatOperation.SignCopy => a & ~sign | b & sign,
            FloatOperation.SignNegate => a & ~sign | ~b & sign,
            FloatOperation.SignXor => a ^ b & sign,
            FloatOperation.Equal => SoftFloat<F>.Equal(a, b, ref flags),
            FloatOperation.Less => SoftFloat<F>.LessThan(a, b, ref flags),
            FloatOperation.LessOrEqual => SoftFloat<F>.LessThanOrEqual(a, b, ref flags),
            FloatOperation.Classify => SoftFloat<F>.Classify(a),
            FloatOperation.ToInt32 => SoftFloat<F>.ToInt32(a, mode, ref flags),
            FloatOperation.ToUInt32 => SoftFloat<F>.ToUInt32(a, mode, ref flags),
            FloatOperation.ToInt64 => SoftFloat<F>.ToInt64(a, mode, ref flags),
            FloatOperation.ToUInt64 => SoftFloat<F>.ToUInt64(a, mode, ref flags),
            FloatOperation.FromInt32 => SoftFloat<F>.FromInt32(a, mode, ref flags),
            FloatOperation.FromUInt32 => SoftFloat<F>.FromUInt32(a, mode, ref flags),
            FloatOperation.FromInt64 => SoftFloat<F>.FromInt64(a, mode, ref flags),
            FloatOperation.FromUInt64 => SoftFloat<F>.FromUInt64(a, mode, ref flags),
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
    }
}
