namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Prefixes, ModRM, SIB and VEX (SDM 2A §2).</summary>
internal sealed unsafe partial class Amd64Assembler
{
    private static class Rex
    {
        public const int W = 8;

        /// <summary>A REX prefix that is there only so that sil, dil and their like can be named.</summary>
        public const int Empty = 0x40;

        public static int Byte(Gp register) => register >= Gp.Rsp ? Empty : 0;
    }

    private static int W(Size size) => size == Size.Bits64 ? Rex.W : 0;

    private void Op(byte opcode, int reg, Gp rm, Size size) => Encode(0, W(size), 0, opcode, reg, rm);

    private void Op(byte opcode, int reg, in Mem rm, Size size) => Encode(0, W(size), 0, opcode, reg, rm);

    private void Op0F(byte opcode, int reg, Gp rm, Size size) => Encode(0, W(size), 1, opcode, reg, rm);

    private void Encode(byte prefix, int rex, int map, byte opcode, int reg, Gp rm)
    {
        if (prefix != 0)
            *_cursor++ = prefix;
        Prefix(rex, reg, 0, rm);
        if (map == 1)
            *_cursor++ = 0x0f;
        *_cursor++ = opcode;
        *_cursor++ = (byte)(0xc0 | (reg & 7) << 3 | (int)rm & 7);
    }

    private void Encode(byte prefix, int rex, int map, byte opcode, int reg, in Mem rm)
    {
        if (prefix != 0)
            *_cursor++ = prefix;
        Prefix(rex, reg, rm.Index == Gp.None ? 0 : (int)rm.Index, rm.Base);
        if (map == 1)
            *_cursor++ = 0x0f;
        *_cursor++ = opcode;
        Address(reg, rm);
    }

    private void Prefix(int rex, int reg, int index, Gp rm)
    {
        int bits = rex | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (int)rm >> 3 & 1;
        if (bits != 0)
            *_cursor++ = (byte)(0x40 | bits);
    }

    private void Address(int reg, in Mem rm)
    {
        int low = (int)rm.Base & 7, field = (reg & 7) << 3;
        // A base of rbp or r13 cannot do without a displacement, one of rsp or r12 not without SIB.
        bool noDisplacement = rm.Displacement == 0 && low != 5;
        bool isByte = rm.Displacement == (sbyte)rm.Displacement;
        int mod = noDisplacement ? 0 : isByte ? 0x40 : 0x80;
        if (rm.Index != Gp.None)
        {
            *_cursor++ = (byte)(mod | field | 4);
            *_cursor++ = (byte)(rm.Scale << 6 | ((int)rm.Index & 7) << 3 | low);
        }
        else if (low == 4)
        {
            *_cursor++ = (byte)(mod | field | 4);
            *_cursor++ = 0x24;
        }
        else
        {
            *_cursor++ = (byte)(mod | field | low);
        }

        if (!noDisplacement)
            Immediate(rm.Displacement, isByte);
    }

    /// <summary>VEX with three bytes: map 1 is 0F, 2 is 0F38, 3 is 0F3A; pp 0 none, 1 66, 2 F3, 3 F2.</summary>
    private void Vex(int map, int pp, Size size, byte opcode, int reg, int second, int rm)
    {
        VexPrefix(map, pp, size, reg, second, 0, rm);
        *_cursor++ = opcode;
        *_cursor++ = (byte)(0xc0 | (reg & 7) << 3 | rm & 7);
    }

    private void Vex(int map, int pp, Size size, byte opcode, int reg, int second, in Mem rm)
    {
        VexPrefix(map, pp, size, reg, second, rm.Index == Gp.None ? 0 : (int)rm.Index, (int)rm.Base);
        *_cursor++ = opcode;
        Address(reg, rm);
    }

    private void VexPrefix(int map, int pp, Size size, int reg, int second, int index, int rm)
    {
        int inverted = (reg < 8 ? 0x80 : 0) | (index < 8 ? 0x40 : 0) | (rm < 8 ? 0x20 : 0);
        if (map == 1 && size == Size.Bits32 && (inverted & 0x60) == 0x60)
        {
            *_cursor++ = 0xc5;
            *_cursor++ = (byte)(inverted & 0x80 | (~second & 15) << 3 | pp);
            return;
        }

        *_cursor++ = 0xc4;
        *_cursor++ = (byte)(inverted | map);
        *_cursor++ = (byte)((size == Size.Bits64 ? 0x80 : 0) | (~second & 15) << 3 | pp);
    }
}
