namespace VirtKit.Tests.Toy;

/// <summary>The toy CPU once more, the other way round: no tables, no definitions, one switch over the bytes of memory.</summary>
internal sealed class ToyReference(byte[] memory)
{
    public byte[] Memory { get; } = memory;

    public ulong[] Slots { get; } = new ulong[ToySlots.Count];

    public ulong Pc { get; set; }

    /// <summary>How many bytes of instructions were fetched that the program itself had written.</summary>
    public int ChangedFetches { get; private set; }

    private readonly bool[] _isWritten = new bool[memory.Length];

    private ulong Base => Slots[ToySlots.Mode] == 0 ? 0 : ToyCpu.Distance;

    /// <summary>Runs until so many instructions have completed; a trap completes none.</summary>
    /// <param name="steps">At most so many attempts.</param>
    public int Run(int instructions, int steps)
    {
        int retired = 0;
        for (; retired < instructions && steps > 0; steps--)
        {
            ulong cause = Step();
            if (cause == 0)
            {
                retired++;
                continue;
            }

            Slots[ToySlots.Cause] = cause;
            Slots[ToySlots.ReturnTo] = Pc - Base + 1;
            Pc = Slots[ToySlots.Handler] + Base;
        }

        return retired;
    }

    /// <returns>0, or the cause of a trap.</returns>
    private ulong Step()
    {
        ulong at = Pc;
        int prefixes = 0, length = 0;
        byte opcode;
        while (true)
        {
            if (!TryFetch(at, ref length, out opcode))
                return ToyCpu.FetchCause;
            if (opcode != 0x66)
                break;
            at++;
            if (++prefixes == 15)
                return ToyCpu.IllegalCause;
        }

        int registers = opcode is >= 1 and <= 12 or 0x10 or 0x11 or >= 0x14 and <= 0x24 ? 1 : 0;
        int immediate = opcode switch { 8 => 4, 7 or >= 9 and <= 0xf or 0x11 or 0x14 or 0x15 or 0x1d or 0x1e => 1, _ => 0 };
        if (opcode > 0x24 || prefixes + 1 + registers + immediate > 15)
            return ToyCpu.IllegalCause;
        at++;
        byte pair = 0;
        if (registers == 1 && !TryFetch(at++, ref length, out pair))
            return ToyCpu.FetchCause;
        long value = 0;
        for (int i = 0; i < immediate; i++)
        {
            if (!TryFetch(at++, ref length, out byte part))
                return ToyCpu.FetchCause;
            value |= (long)part << (8 * i);
        }

        value = immediate == 1 ? (sbyte)value : (int)value;
        return Execute(opcode, pair >> 4, pair & 15, value, at);
    }

    private ulong Execute(byte opcode, int d, int s, long immediate, ulong next)
    {
        ulong[] r = Slots;
        ulong x = r[d], y = r[s], address = y + (ulong)immediate, old;
        switch (opcode)
        {
            case 0x01:
                Sum(x, y);
                r[d] = x + y;
                break;
            case 0x02:
                Difference(x, y);
                r[d] = x - y;
                break;
            case 0x03:
                r[d] ^= y;
                break;
            case 0x04:
                Difference(x, y);
                break;
            case 0x05:
                r[d] = (uint)(x + y);
                break;
            case 0x06:
                byte low = (byte)(x + y);
                r[ToySlots.Zero] = low == 0 ? 1u : 0;
                r[d] = x / 256 * 256 + low;
                break;
            case 0x07:
                r[d] = address;
                break;
            case 0x08:
                r[d] = (ulong)immediate;
                break;
            case 0x09:
                if (!TryRead(address, 8, out old))
                    return ToyCpu.LoadCause;
                r[d] = old;
                break;
            case 0x0a:
                if (!TryWrite(address, x))
                    return ToyCpu.StoreCause;
                break;
            case 0x0b:
                if (!TryRead(address, 1, out old))
                    return ToyCpu.LoadCause;
                r[d] = x / 256 * 256 + old;
                break;
            case 0x0c:
                if (!TryRead(address, 8, out old))
                    return ToyCpu.LoadCause;
                if (!TryWrite(address, old + x))
                    return ToyCpu.StoreCause;
                Sum(old, x);
                break;
            case 0x0d:
                next = r[ToySlots.Zero] != 0 ? Pc + (ulong)immediate : next;
                break;
            case 0x0e:
                next = r[ToySlots.Less] != 0 ? Pc + (ulong)immediate : next;
                break;
            case 0x0f:
                next = Pc + (ulong)immediate;
                break;
            case 0x10:
                next = y;
                break;
            case 0x11:
                r[d] = Pc + (ulong)immediate;
                break;
            case 0x12:
                next -= Base;
                r[ToySlots.Mode] = 1 - r[ToySlots.Mode];
                next += Base;
                break;
            case 0x13:
                next = r[ToySlots.ReturnTo] + Base;
                break;
        }

        int v = ToySlots.Vectors + d % 4 * 2, w = ToySlots.Vectors + s % 4 * 2;
        switch (opcode)
        {
            case 0x14:
                if (!TryRead(address, 8, out old) || !TryRead(address + 8, 8, out ulong upper))
                    return ToyCpu.LoadCause;
                (r[v], r[v + 1]) = (old, upper);
                break;
            case 0x15:
                if (!TryWrite(address, r[v], 16) || !TryWrite(address + 8, r[v + 1]))
                    return ToyCpu.StoreCause;
                break;
            case 0x16:
                (r[v], r[v + 1]) = (r[v] ^ r[w], r[v + 1] ^ r[w + 1]);
                break;
        }

        ref ulong f = ref r[ToySlots.Floats + d % 4];
        ulong g = r[ToySlots.Floats + s % 4];
        float a = BitConverter.UInt32BitsToSingle((uint)f), b = BitConverter.UInt32BitsToSingle((uint)g), c = BitConverter.UInt32BitsToSingle((uint)r[ToySlots.Floats]);
        switch (opcode)
        {
            case 0x17:
                f = Sum(a, b, Mode());
                break;
            case 0x18:
                f = NaNOf(a, b) ?? Rounded((double)a * b, 0, Mode());
                break;
            case 0x19:
                f = BitConverter.SingleToUInt32Bits(MathF.CopySign(a, b));
                break;
            case 0x1a:
                f = Rounded((int)y, 0, Mode());
                break;
            case 0x1b:
                f = BitConverter.DoubleToUInt64Bits(b);
                break;
            case 0x1c:
                double wide = BitConverter.UInt64BitsToDouble(g);
                f = double.IsNaN(wide) ? BitConverter.SingleToUInt32Bits((float)wide) : Rounded(wide, 0, 0);
                break;
            case 0x1d:
                if (!TryRead(address, 4, out old))
                    return ToyCpu.LoadCause;
                f = old;
                break;
            case 0x1e:
                if (!TryWrite(address, f))
                    return ToyCpu.StoreCause;
                break;
            case 0x1f:
                f = y;
                break;
            case 0x20:
                r[d] = g;
                break;
            case 0x21:
                r[ToySlots.Status] = y & 0x6020;
                break;
            case 0x22:
                r[d] = r[ToySlots.Status];
                break;
            case 0x23:
                bool fits = b is >= -2147483648f and < 2147483648f;
                r[d] = fits ? (uint)(int)b : 0x8000_0000;
                if (fits && MathF.Truncate(b) != b)
                    r[ToySlots.Status] |= 0x20;
                break;
            case 0x24:
                f = Fused(a, b, c);
                break;
        }

        Pc = next;
        return 0;
    }

    private void Sum(ulong x, ulong y)
    {
        UInt128 sum = (UInt128)x + y;
        Flags((ulong)sum == 0, sum >> 64 != 0, (long)(ulong)sum < 0, (long)(ulong)sum < 0);
    }

    private int Mode() => (int)(Slots[ToySlots.Status] >> 13 & 3);

    /// <summary>What an operation on these yields where one is a NaN: the first such one, made quiet.</summary>
    private static uint? NaNOf(params ReadOnlySpan<float> operands)
    {
        foreach (float operand in operands)
        {
            if (float.IsNaN(operand))
                return BitConverter.SingleToUInt32Bits(operand) | 0x40_0000;
        }

        return null;
    }

    private uint Sum(float a, float b, int mode)
    {
        // What the sum lacks to be exact (Knuth's two-sum).
        double sum = (double)a + b, part = sum - a, missing = a - (sum - part) + (b - part);
        // What cancels is a negative zero where rounding goes down.
        return NaNOf(a, b) ?? (sum == 0 && mode == 1 && !(float.IsPositive(a) && float.IsPositive(b)) ? 0x8000_0000 : Rounded(sum, missing, mode));
    }

    /// <summary>a * b - c, to nearest.</summary>
    private uint Fused(float a, float b, float c)
    {
        float result = MathF.FusedMultiplyAdd(a, b, -c);
        if (float.IsNaN(result))
            return NaNOf(a, b, c) ?? 0xffc0_0000;
        // The product is exact, and so what the sum lacks is known as well.
        double product = (double)a * b, sum = product - c, part = sum - product, missing = product - (sum - part) + (-c - part);
        if (double.IsFinite(sum) && (result - sum != missing))
            Slots[ToySlots.Status] |= 0x20;
        return BitConverter.SingleToUInt32Bits(result);
    }

    /// <summary>The single for number + missing, of which the second is less than the last bit of the first: mode 0 to nearest, 1 down, 2 up, 3 towards zero.</summary>
    private uint Rounded(double number, double missing, int mode)
    {
        if (double.IsNaN(number))
            return 0xffc0_0000;
        float rounded = (float)number;
        if (!double.IsFinite(number) || rounded - number == missing)
            return BitConverter.SingleToUInt32Bits(rounded);
        Slots[ToySlots.Status] |= 0x20;
        bool isAbove = rounded - number > missing, isDown = mode == 1 || (mode == 3 && number > 0), isUp = mode == 2 || (mode == 3 && number < 0);
        if (isAbove && isDown)
            rounded = MathF.BitDecrement(rounded);
        if (!isAbove && isUp)
            rounded = MathF.BitIncrement(rounded);
        return BitConverter.SingleToUInt32Bits(rounded);
    }

    private void Difference(ulong x, ulong y) => Flags(x == y, x < y, (long)(x - y) < 0, (Int128)(long)x - (long)y < 0);

    private void Flags(bool zero, bool carry, bool negative, bool less) =>
        (Slots[ToySlots.Zero], Slots[ToySlots.Carry], Slots[ToySlots.Negative], Slots[ToySlots.Less]) = (zero ? 1u : 0, carry ? 1u : 0, negative ? 1u : 0, less ? 1u : 0);

    private bool TryFetch(ulong address, ref int length, out byte value)
    {
        bool there = address - Base < (ulong)Memory.Length;
        value = there ? Memory[address - Base] : (byte)0;
        ChangedFetches += there && _isWritten[address - Base] ? 1 : 0;
        length++;
        return there;
    }

    private bool TryRead(ulong address, int size, out ulong value)
    {
        value = 0;
        for (int i = 0; i < size; i++)
        {
            ulong at = address + (ulong)i - Base;
            if (at >= (ulong)Memory.Length)
                return false;
            value |= (ulong)Memory[at] << (8 * i);
        }

        return true;
    }

    /// <param name="room">So many bytes have to be writable.</param>
    private bool TryWrite(ulong address, ulong value, int room = 8)
    {
        for (int i = 0; i < room; i++)
        {
            if (!ToyCpu.IsWritable(address + (ulong)i - Base))
                return false;
        }

        for (int i = 0; i < 8; i++)
            (Memory[address + (ulong)i - Base], _isWritten[address + (ulong)i - Base]) = ((byte)(value >> (8 * i)), true);
        return true;
    }
}
