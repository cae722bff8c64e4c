using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>The interpreter's slow path over memory that is only read: stores go to the <see cref="Shadow"/>. What cannot be done twice (devices, atomics, functions on
/// the hart) gives up.</summary>
internal readonly unsafe struct ShadowPath : IExecutionPath
{
    public static bool Load(Hart hart, InterpreterContext* c, MemoryWidth width, ulong address, out ulong value)
    {
        value = 0;
        if (!Shadow.TryReach(hart, address, width.Bytes(), MemoryAccess.Load, out byte* place))
            return false;
        value = width.Extend(Shadow.Of(hart).Read(place, width.Bytes()));
        return true;
    }

    public static bool Store(Hart hart, InterpreterContext* c, MemoryWidth width, ulong address, ulong value)
    {
        if (!Shadow.TryReach(hart, address, width.Bytes(), MemoryAccess.Store, out byte* place))
            return false;
        Shadow.Of(hart).Write(place, width.Bytes(), value);
        return true;
    }

    public static bool LoadReserved(Hart hart, MemoryWidth width, ulong address, out ulong value)
    {
        value = 0;
        return Shadow.GiveUp(hart);
    }

    public static bool StoreConditional(Hart hart, MemoryWidth width, ulong address, ulong value, out ulong failed)
    {
        failed = 0;
        return Shadow.GiveUp(hart);
    }

    public static bool Atomic(Hart hart, InterpreterContext* c, AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old)
    {
        old = 0;
        return Shadow.GiveUp(hart);
    }

    public static bool UseFloat(Hart hart, InterpreterContext* c) => hart.UseFloat();

    public static bool Float(
        Hart hart, InterpreterContext* c, FloatOperation operation, FloatFormat format, int roundingMode, ulong x, ulong y, ulong z, out ulong result) =>
        hart.Float(operation, format, roundingMode, x, y, z, out result);

    public static bool Call(Hart hart, delegate*<Hart, in Operands, bool> function, in Operands o) => Shadow.GiveUp(hart);
}
