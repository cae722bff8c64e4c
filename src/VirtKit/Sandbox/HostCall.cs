using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Encoding = System.Text.Encoding;
using VirtKit.Boot;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>A call of the guest to a function of the host: its arguments as they come, read from registers and the guest's stack, and its result (RISC-V ELF psABI, LP64D).</summary>
internal unsafe ref struct HostCall(Sandbox sandbox)
{
    private const int Registers = 8, A0 = 10, Fa0 = 10, Sp = 2;

    /// <summary>A text of the guest's that has no end before this many bytes is no text.</summary>
    private const ulong LongestText = 1 << 20;

    private const ulong NotANumber = 0xffff_ffff_0000_0000;

    private readonly Hart _hart = sandbox.Hart;
    private int _integers, _floats, _onStack;

    /// <summary>The next argument.</summary>
    /// <exception cref="GuestPointerException">The guest passed a pointer to what is not its memory.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Next<T>() where T : allows ref struct
    {
        Unsafe.SkipInit(out T value);
        if (typeof(T) == typeof(Sandbox))
            Unsafe.As<T, Sandbox>(ref value) = sandbox;
        else if (typeof(T) == typeof(float))
            Unsafe.As<T, float>(ref value) = ToSingle(NextFloat());
        else if (typeof(T) == typeof(double))
            Unsafe.As<T, double>(ref value) = BitConverter.UInt64BitsToDouble(NextFloat());
        else if (typeof(T) == typeof(string))
            Unsafe.As<T, string?>(ref value) = ReadText(sandbox, NextInteger());
        else if (typeof(T) == typeof(byte[]))
            Unsafe.As<T, byte[]>(ref value) = NextBytes(1, ElfAccess.Read).ToArray();
        else if (typeof(T) == typeof(ReadOnlyMemory<byte>))
            Unsafe.As<T, ReadOnlyMemory<byte>>(ref value) = NextBytes(1, ElfAccess.Read).ToArray();
        else if (GuestTypes.IsInteger<T>())
            GuestTypes.FromRegister(NextInteger(), out value);
        else if (GuestTypes.IsSpan<T>())
            GuestTypes.FromBytes(NextBytes(GuestTypes.ElementSize<T>(), GuestTypes.IsWritableSpan<T>() ? ElfAccess.Read | ElfAccess.Write : ElfAccess.Read), out value);
        else
            sandbox.Checked(NextInteger(), (ulong)Unsafe.SizeOf<T>(), ElfAccess.Read).CopyTo(GuestTypes.BytesOf(ref value));
        return value;
    }

    /// <summary>Where a result of this type goes that is returned through a pointer: the first argument, before any other is read.</summary>
    public Gva NextResult<T>() => GuestTypes.IsInteger<T>() || GuestTypes.IsFloat<T>() ? default : new Gva(NextInteger());

    /// <summary>Returns a value to the guest.</summary>
    /// <param name="target">What <see cref="NextResult"/> gave.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Return<T>(Sandbox sandbox, Gva target, T value)
    {
        ref RiscVState state = ref sandbox.Hart.State;
        if (typeof(T) == typeof(float))
            state.F[Fa0] = NotANumber | BitConverter.SingleToUInt32Bits(Unsafe.As<T, float>(ref value));
        else if (typeof(T) == typeof(double))
            state.F[Fa0] = BitConverter.DoubleToUInt64Bits(Unsafe.As<T, double>(ref value));
        else if (GuestTypes.IsInteger<T>())
            state.X[A0] = GuestTypes.ToRegister(ref value);
        else
            GuestTypes.BytesOf(ref value).CopyTo(sandbox.Checked(target.Value, (ulong)Unsafe.SizeOf<T>(), ElfAccess.Write));
    }

    /// <summary>The single that a register holds; the canonical NaN where it is not boxed (RV-Unpriv, "NaN Boxing of Narrower Values").</summary>
    public static float ToSingle(ulong register) => BitConverter.UInt32BitsToSingle(register >= NotANumber ? (uint)register : 0x7fc0_0000);

    /// <summary>A text of the guest's; <see langword="null"/> for a null pointer.</summary>
    public static string? ReadText(Sandbox sandbox, ulong address)
    {
        if (address == 0)
            return null;
        ulong reach = sandbox.Space.Reach(address, LongestText, ElfAccess.Read);
        ReadOnlySpan<byte> bytes = sandbox.Checked(address, reach, ElfAccess.Read);
        int end = bytes.IndexOf((byte)0);
        return end >= 0 ? Encoding.UTF8.GetString(bytes[..end]) : throw new GuestPointerException(address + reach, ElfAccess.Read);
    }

    private ulong NextInteger()
    {
        if (_integers < Registers)
            return _hart.State.X[A0 + _integers++];
        ulong at = _hart.State.X[Sp] + 8 * (ulong)_onStack++;
        return MemoryMarshal.Read<ulong>(sandbox.Checked(at, 8, ElfAccess.Read));
    }

    private ulong NextFloat() => _floats < Registers ? _hart.State.F[Fa0 + _floats++] : NextInteger();

    private Span<byte> NextBytes(int elementSize, ElfAccess access)
    {
        ulong address = NextInteger(), count = NextInteger();
        // A null pointer to nothing is nothing.
        if (count == 0)
            return default;
        if (count > SandboxLayout.Limit)
            throw new GuestPointerException(address, access);
        return sandbox.Checked(address, count * (ulong)elementSize, access);
    }
}

/// <summary>The guest handed the host a pointer to what is not its memory. It never reaches the user: the guest traps.</summary>
internal sealed class GuestPointerException(ulong address, ElfAccess access) : Exception
{
    public ulong Address => address;

    public ElfAccess Access => access;
}
