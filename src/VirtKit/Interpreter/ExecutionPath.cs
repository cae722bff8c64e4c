using System.Runtime.CompilerServices;
using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Interpreter;

/// <summary>How an executing backend carries out primitives that can miss the TLB or trap.</summary>
internal unsafe interface IExecutionPath
{
    static abstract bool Load(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, out ulong value);

    static abstract bool Store(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, ulong value);

    static abstract bool LoadPair(GuestCpu cpu, InterpreterContext* c, ulong address, out ulong low, out ulong high);

    static abstract bool StorePair(GuestCpu cpu, InterpreterContext* c, ulong address, ulong low, ulong high);

    static abstract bool LoadReserved(GuestCpu cpu, MemoryWidth width, ulong address, out ulong value);

    static abstract bool StoreConditional(GuestCpu cpu, MemoryWidth width, ulong address, ulong value, out ulong failed);

    static abstract bool Atomic(GuestCpu cpu, InterpreterContext* c, AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old);

    static abstract bool UseFloat(GuestCpu cpu, InterpreterContext* c);

    static abstract bool Float(
        GuestCpu cpu, InterpreterContext* c, FloatOperation operation, FloatFormat format, RoundingMode mode, ulong x, ulong y, ulong z, out ulong result);

    static abstract bool Call<TCpu>(GuestCpu cpu, delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu;
}

/// <summary>TLB hits and what the host's arithmetic answers exactly. Never calls anything, so that handlers need no stack frame; <see langword="false"/> changes nothing
/// and asks for the <see cref="SlowPath"/>.</summary>
internal readonly unsafe struct FastPath : IExecutionPath
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, out ulong value)
    {
        TlbEntry* entry = TlbEntry.At(c->Cpu.ReadTlb, address);
        if (entry->Tag != TlbEntry.TagOf(address, width.Bytes()))
        {
            value = 0;
            return false;
        }

        // SAFETY: the tag matched, so the addend leads into the page's memory, and the access stays inside; the host takes any alignment.
        byte* pointer = (byte*)(address + (ulong)entry->Addend);
        value = width switch
        {
            MemoryWidth.SignedByte => (ulong)*(sbyte*)pointer,
            MemoryWidth.SignedHalf => (ulong)*(short*)pointer,
            MemoryWidth.SignedWord => (ulong)*(int*)pointer,
            MemoryWidth.Byte => *pointer,
            MemoryWidth.Half => *(ushort*)pointer,
            MemoryWidth.Word => *(uint*)pointer,
            _ => *(ulong*)pointer,
        };
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, ulong value)
    {
        TlbEntry* entry = TlbEntry.At(c->Cpu.WriteTlb, address);
        if (entry->Tag != TlbEntry.TagOf(address, width.Bytes()))
            return false;
        // SAFETY: as for loads.
        byte* pointer = (byte*)(address + (ulong)entry->Addend);
        switch (width.Bytes())
        {
            case 1:
                *pointer = (byte)value;
                break;
            case 2:
                *(ushort*)pointer = (ushort)value;
                break;
            case 4:
                *(uint*)pointer = (uint)value;
                break;
            default:
                *(ulong*)pointer = value;
                break;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool LoadPair(GuestCpu cpu, InterpreterContext* c, ulong address, out ulong low, out ulong high)
    {
        TlbEntry* entry = TlbEntry.At(c->Cpu.ReadTlb, address);
        if (entry->Tag != TlbEntry.TagOf(address, 16))
        {
            low = high = 0;
            return false;
        }

        // SAFETY: as for loads.
        var pointer = (ulong*)(address + (ulong)entry->Addend);
        (low, high) = (pointer[0], pointer[1]);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool StorePair(GuestCpu cpu, InterpreterContext* c, ulong address, ulong low, ulong high)
    {
        TlbEntry* entry = TlbEntry.At(c->Cpu.WriteTlb, address);
        if (entry->Tag != TlbEntry.TagOf(address, 16))
            return false;
        // SAFETY: as for loads.
        var pointer = (ulong*)(address + (ulong)entry->Addend);
        (pointer[0], pointer[1]) = (low, high);
        return true;
    }

    public static bool LoadReserved(GuestCpu cpu, MemoryWidth width, ulong address, out ulong value)
    {
        value = 0;
        return false;
    }

    public static bool StoreConditional(GuestCpu cpu, MemoryWidth width, ulong address, ulong value, out ulong failed)
    {
        failed = 0;
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Atomic(GuestCpu cpu, InterpreterContext* c, AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old)
    {
        TlbEntry* entry = TlbEntry.At(c->Cpu.WriteTlb, address);
        if (entry->Tag != TlbEntry.AlignedTagOf(address, width.Bytes()))
        {
            old = 0;
            return false;
        }

        // SAFETY: as for loads; and it is aligned.
        old = width.Extend(AtomicMemory.Exchange(operation, (byte*)(address + (ulong)entry->Addend), width.Bytes(), operand));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool UseFloat(GuestCpu cpu, InterpreterContext* c) => c->Cpu.FloatReady != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Float(
        GuestCpu cpu, InterpreterContext* c, FloatOperation operation, FloatFormat format, RoundingMode mode, ulong x, ulong y, ulong z, out ulong result) =>
        format switch
        {
            FloatFormat.Double => HostFloat<double, Unboxed>.TryCompute(operation, c->Cpu.HostRounding, mode, x, y, z, out result),
            FloatFormat.BoxedSingle => HostFloat<float, Boxed>.TryCompute(operation, c->Cpu.HostRounding, mode, x, y, z, out result),
            _ => HostFloat<float, Unboxed>.TryCompute(operation, c->Cpu.HostRounding, mode, x, y, z, out result),
        };

    public static bool Call<TCpu>(GuestCpu cpu, delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu => false;
}

/// <summary>Everything, through the CPU. <see langword="false"/> means that a trap is recorded.</summary>
internal readonly unsafe struct SlowPath : IExecutionPath
{
    public static bool Load(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, out ulong value)
    {
        if (!cpu.Load(address, width.Bytes(), out value))
            return false;
        value = width.Extend(value);
        return true;
    }

    public static bool Store(GuestCpu cpu, InterpreterContext* c, MemoryWidth width, ulong address, ulong value) => cpu.Store(address, width.Bytes(), value);

    public static bool LoadPair(GuestCpu cpu, InterpreterContext* c, ulong address, out ulong low, out ulong high) => cpu.LoadPair(address, out low, out high);

    public static bool StorePair(GuestCpu cpu, InterpreterContext* c, ulong address, ulong low, ulong high) => cpu.StorePair(address, low, high);

    public static bool LoadReserved(GuestCpu cpu, MemoryWidth width, ulong address, out ulong value)
    {
        if (!cpu.LoadReserved(address, width.Bytes(), out value))
            return false;
        value = width.Extend(value);
        return true;
    }

    public static bool StoreConditional(GuestCpu cpu, MemoryWidth width, ulong address, ulong value, out ulong failed) =>
        cpu.StoreConditional(address, width.Bytes(), value, out failed);

    public static bool Atomic(GuestCpu cpu, InterpreterContext* c, AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old)
    {
        if (!cpu.Atomic(operation, address, width.Bytes(), operand, out old))
            return false;
        old = width.Extend(old);
        return true;
    }

    public static bool UseFloat(GuestCpu cpu, InterpreterContext* c) => cpu.UseFloat();

    public static bool Float(
        GuestCpu cpu, InterpreterContext* c, FloatOperation operation, FloatFormat format, RoundingMode mode, ulong x, ulong y, ulong z, out ulong result) =>
        cpu.Float(operation, format, mode, x, y, z, out result);

    public static bool Call<TCpu>(GuestCpu cpu, delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu => function(Unsafe.As<TCpu>(cpu), o);
}
