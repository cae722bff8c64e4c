namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>BMI2, AVX and FMA.</summary>
internal sealed unsafe partial class Amd64Assembler
{
    /// <summary>to = from rotated right, flags untouched.</summary>
    public void Rorx(Gp to, Gp from, int amount, Size size)
    {
        Vex(3, 3, size, 0xf0, (int)to, 0, (int)from);
        *_cursor++ = (byte)amount;
    }

    public void Shlx(Gp to, Gp from, Gp amount, Size size) => Vex(2, 1, size, 0xf7, (int)to, (int)amount, (int)from);

    public void Shrx(Gp to, Gp from, Gp amount, Size size) => Vex(2, 3, size, 0xf7, (int)to, (int)amount, (int)from);

    public void Sarx(Gp to, Gp from, Gp amount, Size size) => Vex(2, 2, size, 0xf7, (int)to, (int)amount, (int)from);

    /// <summary>high = ~a &amp; b.</summary>
    public void Andn(Gp to, Gp a, Gp b) => Vex(2, 0, Size.Bits64, 0xf2, (int)to, (int)a, (int)b);

    public void Mov(Xmm to, Gp from, Size size) => Vex(1, 1, size, 0x6e, (int)to, 0, (int)from);

    public void Mov(Gp to, Xmm from, Size size) => Vex(1, 1, size, 0x7e, (int)from, 0, (int)to);

    /// <summary>The whole register.</summary>
    public void Mov(Xmm to, Xmm from) => Vex(1, 0, Size.Bits32, 0x28, (int)to, 0, (int)from);

    /// <summary>The whole register, from any address.</summary>
    public void LoadVector(Xmm to, in Mem from) => Vex(1, 0, Size.Bits32, 0x10, (int)to, 0, from);

    public void StoreVector(in Mem to, Xmm from) => Vex(1, 0, Size.Bits32, 0x11, (int)from, 0, to);

    /// <summary>8 bytes, zero above.</summary>
    public void LoadDouble(Xmm to, in Mem from) => Vex(1, 3, Size.Bits32, 0x10, (int)to, 0, from);

    public void LoadSingle(Xmm to, in Mem from) => Vex(1, 2, Size.Bits32, 0x10, (int)to, 0, from);

    public void StoreDouble(in Mem to, Xmm from) => Vex(1, 3, Size.Bits32, 0x11, (int)from, 0, to);

    public void StoreSingle(in Mem to, Xmm from) => Vex(1, 2, Size.Bits32, 0x11, (int)from, 0, to);

    /// <summary>Scalar arithmetic: 58 add, 59 mul, 5C sub, 5D min, 5E div, 5F max, 51 sqrt; what lies above the scalar comes from <paramref name="a"/>.</summary>
    public void Scalar(byte opcode, bool isDouble, Xmm to, Xmm a, Xmm b) => Vex(1, isDouble ? 3 : 2, Size.Bits32, opcode, (int)to, (int)a, (int)b);

    public void Fma(byte opcode, bool isDouble, Xmm to, Xmm a, Xmm b) => Vex(2, 1, isDouble ? Size.Bits64 : Size.Bits32, opcode, (int)to, (int)a, (int)b);

    /// <summary>Loads the vector unit's control and sticky flags.</summary>
    public void LoadControl(in Mem from) => Encode(0, 0, 1, 0xae, 2, from);

    public void StoreControl(in Mem to) => Encode(0, 0, 1, 0xae, 3, to);

    public void FmaMemory(byte opcode, bool isDouble, Xmm to, Xmm a, in Mem b) => Vex(2, 1, isDouble ? Size.Bits64 : Size.Bits32, opcode, (int)to, (int)a, b);

    /// <summary>Sets ZF, PF and CF by an unordered comparison.</summary>
    public void Compare(bool isDouble, Xmm a, Xmm b) => Vex(1, isDouble ? 1 : 0, Size.Bits32, 0x2e, (int)a, 0, (int)b);

    /// <summary>Bitwise: 54 and, 55 and-not of the first, 56 or, 57 xor.</summary>
    public void Logic(byte opcode, Xmm to, Xmm a, Xmm b) => Vex(1, 1, Size.Bits32, opcode, (int)to, (int)a, (int)b);

    public void Logic(byte opcode, Xmm to, Xmm a, in Mem b) => Vex(1, 1, Size.Bits32, opcode, (int)to, (int)a, b);

    /// <summary>The word at a position of 0 to 3.</summary>
    public void Extract32(Gp to, Xmm from, byte position)
    {
        Vex(3, 1, Size.Bits32, 0x16, (int)from, 0, (int)to);
        *_cursor++ = position;
    }

    /// <summary>From an integer; what lies above the scalar comes from <paramref name="above"/>.</summary>
    public void FromInteger(bool isDouble, Xmm to, Xmm above, Gp from, Size size) => Vex(1, isDouble ? 3 : 2, size, 0x2a, (int)to, (int)above, (int)from);

    /// <summary>To an integer, towards zero.</summary>
    public void Truncate(bool isDouble, Gp to, Xmm from, Size size) => Vex(1, isDouble ? 3 : 2, size, 0x2c, (int)to, 0, (int)from);

    /// <summary>cvtss2sd or cvtsd2ss.</summary>
    public void ConvertScalar(bool toDouble, Xmm to, Xmm above, Xmm from) => Vex(1, toDouble ? 2 : 3, Size.Bits32, 0x5a, (int)to, (int)above, (int)from);
}
