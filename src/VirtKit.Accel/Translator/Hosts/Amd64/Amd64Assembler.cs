namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Encodes x86-64 instructions (SDM 2) at a cursor in writable memory. The caller has made sure that there is room.</summary>
internal sealed unsafe partial class Amd64Assembler
{
    private byte* _cursor;

    /// <summary>Where the next byte goes, in the writable view.</summary>
    public byte* Cursor
    {
        get => _cursor;
        set => _cursor = value;
    }

    public void Alu(Alu op, Gp to, Gp from, Size size = Size.Bits64) => Op((byte)((int)op * 8 + 3), (int)to, from, size);

    public void Alu(Alu op, Gp to, in Mem from, Size size = Size.Bits64) => Op((byte)((int)op * 8 + 3), (int)to, from, size);

    public void Alu(Alu op, in Mem to, Gp from, Size size = Size.Bits64) => Op((byte)((int)op * 8 + 1), (int)from, to, size);

    public void Alu(Alu op, Gp to, int imm, Size size = Size.Bits64)
    {
        bool isByte = imm == (sbyte)imm;
        Op(isByte ? (byte)0x83 : (byte)0x81, (int)op, to, size);
        Immediate(imm, isByte);
    }

    public void Alu(Alu op, in Mem to, int imm, Size size = Size.Bits64)
    {
        bool isByte = imm == (sbyte)imm;
        Op(isByte ? (byte)0x83 : (byte)0x81, (int)op, to, size);
        Immediate(imm, isByte);
    }

    public void Test(Gp a, Gp b, Size size = Size.Bits64) => Op(0x85, (int)b, a, size);

    public void Test(in Mem a, int imm)
    {
        Op(0xf7, 0, a, Size.Bits32);
        Int32(imm);
    }

    public void Move(Gp to, Gp from, Size size = Size.Bits64) => Op(0x8b, (int)to, from, size);

    public void Load(Gp to, in Mem from, Size size = Size.Bits64) => Op(0x8b, (int)to, from, size);

    public void Store(in Mem to, Gp from, Size size = Size.Bits64) => Op(0x89, (int)from, to, size);

    public void Store8(in Mem to, Gp from) => Encode(0, Rex.Byte(from), 0, 0x88, (int)from, to);

    public void Store16(in Mem to, Gp from) => Encode(0x66, 0, 0, 0x89, (int)from, to);

    /// <summary>Stores an immediate, sign-extended where the place is wider.</summary>
    public void StoreImmediate(in Mem to, int imm, int bytes)
    {
        Encode(bytes == 2 ? (byte)0x66 : (byte)0, bytes == 8 ? Rex.W : 0, 0, bytes == 1 ? (byte)0xc6 : (byte)0xc7, 0, to);
        if (bytes == 1)
            *_cursor++ = (byte)imm;
        else if (bytes == 2)
            Int16(imm);
        else
            Int32(imm);
    }

    /// <summary>Loads a constant by the shortest form that leaves the flags alone.</summary>
    public void Constant(Gp to, ulong value)
    {
        if (value <= uint.MaxValue)
        {
            Prefix(0, 0, 0, to);
            *_cursor++ = (byte)(0xb8 | (int)to & 7);
            Int32((int)value);
        }
        else if ((long)value == (int)value)
        {
            Op(0xc7, 0, to, Size.Bits64);
            Int32((int)value);
        }
        else
        {
            Prefix(Rex.W, 0, 0, to);
            *_cursor++ = (byte)(0xb8 | (int)to & 7);
            *(ulong*)_cursor = value;
            _cursor += 8;
        }
    }

    public void Lea(Gp to, in Mem from, Size size = Size.Bits64) => Op(0x8d, (int)to, from, size);

    public void MoveZero8(Gp to, Gp from) => Encode(0, Rex.Byte(from), 1, 0xb6, (int)to, from);

    public void MoveZero8(Gp to, in Mem from) => Encode(0, 0, 1, 0xb6, (int)to, from);

    public void MoveZero16(Gp to, Gp from) => Encode(0, 0, 1, 0xb7, (int)to, from);

    public void MoveZero16(Gp to, in Mem from) => Encode(0, 0, 1, 0xb7, (int)to, from);

    public void MoveSign8(Gp to, Gp from) => Encode(0, Rex.W, 1, 0xbe, (int)to, from);

    public void MoveSign8(Gp to, in Mem from) => Encode(0, Rex.W, 1, 0xbe, (int)to, from);

    public void MoveSign16(Gp to, Gp from) => Encode(0, Rex.W, 1, 0xbf, (int)to, from);

    public void MoveSign16(Gp to, in Mem from) => Encode(0, Rex.W, 1, 0xbf, (int)to, from);

    public void MoveSign32(Gp to, Gp from) => Op(0x63, (int)to, from, Size.Bits64);

    public void MoveSign32(Gp to, in Mem from) => Op(0x63, (int)to, from, Size.Bits64);

    public void Shift(Shift op, Gp to, int amount, Size size = Size.Bits64)
    {
        Op(0xc1, (int)op, to, size);
        *_cursor++ = (byte)amount;
    }

    /// <summary>A shift by the count in cl.</summary>
    public void ShiftByCl(Shift op, Gp to, Size size = Size.Bits64) => Op(0xd3, (int)op, to, size);

    public void Multiply(Gp to, Gp from, Size size = Size.Bits64) => Op0F(0xaf, (int)to, from, size);

    public void Multiply(Gp to, in Mem from, Size size = Size.Bits64) => Encode(0, W(size), 1, 0xaf, (int)to, from);

    public void Multiply(Gp to, Gp from, int imm, Size size = Size.Bits64)
    {
        bool isByte = imm == (sbyte)imm;
        Op(isByte ? (byte)0x6b : (byte)0x69, (int)to, from, size);
        Immediate(imm, isByte);
    }

    public void Unary(Unary op, Gp operand, Size size = Size.Bits64) => Op(0xf7, (int)op, operand, size);

    /// <summary>Sign-extends rax into rdx.</summary>
    public void SignIntoRdx(Size size)
    {
        if (size == Size.Bits64)
            *_cursor++ = 0x48;
        *_cursor++ = 0x99;
    }

    public void Set(Condition condition, Gp to) => Encode(0, Rex.Byte(to), 1, (byte)(0x90 | (int)condition), 0, to);

    public void MoveIf(Condition condition, Gp to, Gp from) => Op0F((byte)(0x40 | (int)condition), (int)to, from, Size.Bits64);

    public void CountLeadingZeros(Gp to, Gp from, Size size) => Encode(0xf3, W(size), 1, 0xbd, (int)to, from);

    public void CountTrailingZeros(Gp to, Gp from, Size size) => Encode(0xf3, W(size), 1, 0xbc, (int)to, from);

    public void CountOnes(Gp to, Gp from, Size size) => Encode(0xf3, W(size), 1, 0xb8, (int)to, from);

    public void ReverseBytes(Gp to)
    {
        Prefix(Rex.W, 0, 0, to);
        *_cursor++ = 0x0f;
        *_cursor++ = (byte)(0xc8 | (int)to & 7);
    }

    public void LockOr(in Mem operand, int imm)
    {
        *_cursor++ = 0xf0;
        Alu(Amd64.Alu.Or, operand, imm, Size.Bits32);
    }

    public void LockExchangeAdd(in Mem operand, Gp value, Size size)
    {
        *_cursor++ = 0xf0;
        Encode(0, W(size), 1, 0xc1, (int)value, operand);
    }

    public void Exchange(in Mem operand, Gp value, Size size) => Op(0x87, (int)value, operand, size);

    public void LockCompareExchange(in Mem operand, Gp value, Size size)
    {
        *_cursor++ = 0xf0;
        Encode(0, W(size), 1, 0xb1, (int)value, operand);
    }

    public void Push(Gp register)
    {
        Prefix(0, 0, 0, register);
        *_cursor++ = (byte)(0x50 | (int)register & 7);
    }

    public void Pop(Gp register)
    {
        Prefix(0, 0, 0, register);
        *_cursor++ = (byte)(0x58 | (int)register & 7);
    }

    public void Return() => *_cursor++ = 0xc3;

    public void Jump(Gp target) => Encode(0, 0, 0, 0xff, 4, target);

    public void Jump(in Mem target) => Encode(0, 0, 0, 0xff, 4, target);

    public void Call(in Mem target) => Encode(0, 0, 0, 0xff, 2, target);

    /// <returns>The place of the displacement, for <see cref="Bind(byte*)"/>.</returns>
    public byte* JumpIf(Condition condition)
    {
        *_cursor++ = 0x0f;
        *_cursor++ = (byte)(0x80 | (int)condition);
        return Displacement();
    }

    public byte* Jump()
    {
        *_cursor++ = 0xe9;
        return Displacement();
    }

    public byte* Call()
    {
        *_cursor++ = 0xe8;
        return Displacement();
    }

    /// <returns>The place of the displacement, for <see cref="BindShort"/>.</returns>
    public byte* JumpShort(Condition condition)
    {
        *_cursor++ = (byte)(0x70 | (int)condition);
        return _cursor++;
    }

    public byte* JumpShort()
    {
        *_cursor++ = 0xeb;
        return _cursor++;
    }

    /// <summary>Points a jump at the cursor.</summary>
    public void Bind(byte* displacement) => Bind(displacement, _cursor);

    public static void Bind(byte* displacement, byte* target) => *(int*)displacement = (int)(target - (displacement + 4));

    public void BindShort(byte* displacement)
    {
        long distance = _cursor - (displacement + 1);
        if (distance != (sbyte)distance)
            throw new InvalidOperationException("A short jump is too long.");
        *displacement = (byte)distance;
    }

    /// <summary>Pads with a no-operation so that 4 bytes which begin <paramref name="ahead"/> bytes later lie in one cache line, where they can be patched while they run.</summary>
    public void AlignPatch(int ahead)
    {
        int offset = (int)((long)(_cursor + ahead) & 63);
        if (offset > 60)
            Pad(64 - offset);
    }

    private void Pad(int count)
    {
        // 0F 1F /0 with 66 prefixes; up to 3 bytes are asked for.
        ReadOnlySpan<byte> bytes = count switch { 1 => [0x90], 2 => [0x66, 0x90], _ => [0x0f, 0x1f, 0x00] };
        foreach (byte b in bytes)
            *_cursor++ = b;
    }

    private byte* Displacement()
    {
        byte* place = _cursor;
        *(int*)place = 0;
        _cursor += 4;
        return place;
    }

    private void Immediate(int imm, bool isByte)
    {
        if (isByte)
            *_cursor++ = (byte)imm;
        else
            Int32(imm);
    }

    private void Int16(int value)
    {
        *(short*)_cursor = (short)value;
        _cursor += 2;
    }

    private void Int32(int value)
    {
        *(int*)_cursor = value;
        _cursor += 4;
    }
}
