using System.Buffers.Binary;

namespace VirtKit.Tests.Translator;

/// <summary>Loops as compilers make them: accesses from one base register that moves on, and lookups in a table, over a few pages; too rare among random instructions.</summary>
internal sealed class RandomLoops(Random random, int[] pointers)
{
    // Some have homes in host registers, and some have not.
    private static readonly int[] Counters = [5, 10, 19, 28], Others = [1, 6, 7, 8, 11, 15, 17, 20, 27, 30];
    private const int Saved = 31, StackPointer = 2, Page = 0x1000;

    /// <summary>The code of one loop.</summary>
    /// <param name="at">Where it will stand, from the beginning of the code. Shortly before a page's end, the loop's first instruction crosses it.</param>
    public byte[] Next(int at)
    {
        var code = new List<byte>();
        int pointer = Pick(pointers), counter = Pick(Counters);
        int gap = Page - (at & (Page - 1)) - 10;
        bool crosses = gap is >= 0 and < 128;
        for (; crosses && gap > 0; gap -= 2)
            Half(code, 1);
        Word(code, AddImmediate(Saved, pointer, 0));
        Word(code, AddImmediate(counter, 0, random.Next(1, 100)));
        int start = code.Count;
        if (crosses)
            Word(code, AddImmediate(Pick(Others), Pick(Others), random.Next(100)));
        for (int i = random.Next(1, 5); i > 0; i--)
        {
            switch (random.Next(4))
            {
                case 0:
                    Word(code, Computation());
                    break;
                case 1:
                    Table(code, pointer);
                    break;
                default:
                    Accesses(code, pointer);
                    break;
            }
        }

        Word(code, AddImmediate(pointer, pointer, random.Next(4) == 0 ? random.Next(-300, 300) : random.Next(-8, 40) * 8));
        Word(code, AddImmediate(counter, counter, -1));
        End(code, counter, start);
        Word(code, AddImmediate(pointer, Saved, 0));
        return [.. code];
    }

    private int Pick(int[] of) => of[random.Next(of.Length)];

    private uint Computation() => Register(random.Next(8), Pick(Others), Pick(Others), Pick(Others));

    /// <summary>Back to the loop's beginning while the counter is not 0, by each of the six conditions.</summary>
    private void End(List<byte> code, int counter, int start)
    {
        int isZero = Pick(Others);
        (int condition, int a, int b) = random.Next(6) switch
        {
            0 => (0, isZero, 0), // beq
            1 => (4, 0, counter), // blt
            2 => (5, counter, 0), // bge
            3 => (6, 0, counter), // bltu
            4 => (7, 0, isZero), // bgeu
            _ => (1, counter, 0), // bne
        };
        Word(code, (uint)(1 << 20 | counter << 15 | 3 << 12 | isZero << 7 | 0x13)); // sltiu isZero, counter, 1
        Word(code, Branch(condition, a, b, start - code.Count));
    }

    /// <summary>Loads, or stores, in a row.</summary>
    private void Accesses(List<byte> code, int pointer)
    {
        bool stores = random.Next(2) == 0, aligned = random.Next(8) != 0;
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            int width = random.Next(4);
            int offset = random.Next(-20, 40) * 8 + (aligned ? random.Next(8) >> width << width : random.Next(8));
            if (random.Next(4) == 0)
                Compressed(code, stores, pointer);
            else if (random.Next(4) == 0)
                Word(code, Access(stores, random.Next(2, 4), random.Next(32), pointer, aligned ? offset & ~7 : offset) | 4);
            else
                Word(code, Access(stores, !stores && random.Next(2) == 0 && width < 3 ? width + 4 : width, Pick(Others), pointer, offset));
            if (random.Next(4) == 0)
                Word(code, Computation());
        }
    }

    /// <summary>An access of a double word in 16 bits, where there is one from the pointer; otherwise c.addi.</summary>
    private void Compressed(List<byte> code, bool stores, int pointer)
    {
        int value = Pick(Others), offset = random.Next(32);
        if (pointer == StackPointer)
            Half(code, stores ? 0xe002 | offset << 10 & 0x1c00 | offset << 4 & 0x380 | value << 2 : 0x6002 | offset << 10 & 0x1000 | value << 7 | offset << 5 & 0x60 | offset >> 1 & 0x1c);
        else if (pointer is >= 8 and < 16)
            Half(code, (stores ? 0xe000 : 0x6000) | offset << 10 & 0x1c00 | (pointer - 8) << 7 | offset << 2 & 0x60 | (value & 7) << 2);
        else
            Half(code, 0x0001 | value << 7 | offset << 2);
    }

    /// <summary>A load from an address that is computed from what was loaded before.</summary>
    private void Table(List<byte> code, int pointer)
    {
        int index = Pick(Others);
        Word(code, AndImmediate(index, Pick(Others), random.Next(2) == 0 ? 0x3f8 : 0x7f8));
        Word(code, Register(0, index, index, pointer));
        Word(code, Access(stores: false, 3, Pick(Others), index, 0));
    }

    private static void Word(List<byte> code, uint word)
    {
        Half(code, (int)word & 0xffff);
        Half(code, (int)(word >> 16));
    }

    private static void Half(List<byte> code, int half)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)half);
        code.AddRange(bytes);
    }

    private static uint AddImmediate(int to, int from, int value) => (uint)value << 20 | (uint)from << 15 | (uint)to << 7 | 0x13;

    private static uint AndImmediate(int to, int from, int value) => (uint)value << 20 | (uint)from << 15 | 7u << 12 | (uint)to << 7 | 0x13;

    private static uint Register(int function, int to, int a, int b) => (uint)b << 20 | (uint)a << 15 | (uint)function << 12 | (uint)to << 7 | 0x33;

    private static uint Access(bool stores, int function, int value, int pointer, int offset) => (uint)pointer << 15 | (uint)function << 12
        | (stores ? (uint)(offset >> 5 & 0x7f) << 25 | (uint)value << 20 | (uint)(offset & 31) << 7 | 0x23 : (uint)offset << 20 | (uint)value << 7 | 0x03);

    private static uint Branch(int condition, int a, int b, int offset) => (uint)(offset >> 12 & 1) << 31 | (uint)(offset >> 5 & 0x3f) << 25 | (uint)b << 20
        | (uint)a << 15 | (uint)condition << 12 | (uint)(offset >> 1 & 0xf) << 8 | (uint)(offset >> 11 & 1) << 7 | 0x63;
}
