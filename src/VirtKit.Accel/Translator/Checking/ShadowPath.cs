using VirtKit.Execution.FloatingPoint;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>The interpreter's slow path over memory that is only read: stores go to the <see cref="Shadow"/>. What cannot be done twice (devices, atomics, functions on
/// the CPU) gives up.</summary>
internal readonly unsafe struct ShadowPath : IExecutionPath
{
    public static bool Load(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, out ulong value)
    {
        value = 0;
        if (!Shadow.TryReach(cpu, address, width.Bytes(), MemoryAccess.Load, out byte* pointer))
            return false;
        value = width.Extend(Shadow.Of(cpu).Read(pointer, width.Bytes()));
        return true;
    }

    public static bool Store(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, ulong value)
    {
        if (!Shadow.TryReach(cpu, address, width.Bytes(), MemoryAccess.Store, out byte* pointer))
            return false;
        Shadow.Of(cpu).Write(pointer, width.Bytes(), value);
        return true;
    }

    public static bool LoadPair(GuestCpu cpu, InterpreterContext* c, ulong address, out ulong low, out ulong high)
    {
        low = high = 0;
        if (!Shadow.TryReach(cpu, address, 16, MemoryAccess.Load, out byte* pointer))
            return false;
        (low, high) = (Shadow.Of(cpu).Read(pointer, 8), Shadow.Of(cpu).Read(pointer + 8, 8));
        return true;
    }

    public static bool StorePair(GuestCpu cpu, InterpreterContext* c, ulong address, ulong low, ulong high)
    {
        if (!Shadow.TryReach(cpu, address, 16, MemoryAccess.Store, out byte* pointer))
            return false;
        Shadow.Of(cpu).Write(pointer, 8, low);
        Shadow.Of(cpu).Write(pointer + 8, 8, high);
        return true;
    }

    public static bool LoadReserved(GuestCpu cpu, MemoryWidth width, ulong address, out ulong value)
    {
        value = 0;
        return Shadow.GiveUp(cpu);
    }

    public static bool StoreConditional(GuestCpu cpu, MemoryWidth width, ulong address, ulong value, out ulong failed)
    {
        failed = 0;
        return Shadow.GiveUp(cpu);
    }

    public static bool Atomic(GuestCpu cpu, InterpreterContext* c, AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old)
    {
        old = 0;
        return Shadow.GiveUp(cpu);
    }

    public static bool UseFloat(GuestCpu cpu, InterpreterContext* c) => cpu.UseFloat();

    public static bool Float(
        GuestCpu cpu, InterpreterContext* c, FloatOperation operation, FloatFormat format, RoundingMode mode, ulong x, ulong y, ulong z, out ulong result) =>
        cpu.Float(operation, format, mode, x, y, z, out result);

    public static bool Call<TCpu>(GuestCpu cpu, delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu => Shadow.GiveUp(cpu);
}
