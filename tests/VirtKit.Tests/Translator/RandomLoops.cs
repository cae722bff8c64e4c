namespace VirtKit.Tests.Translator;

/// <summary>Loops as compilers make them: accesses from one base register that moves on, and lookups in a table, over a few pages; too rare among random instructions.</summary>
internal sealed class RandomLoops(Random random, int[] pointers)
{
    // Some have homes in host registers, and some have not.
    private static readonly int[] Counters = [5, 10, 19, 28], Others = [1, 6, 7, 8, 11, 15, 17, 20, 27, 30];
    private const int Saved = 31;

    public IReadOnlyList<uint> Next()
    {
        int pointer = pointers[random.Next(pointers.Length)], counter = Counters[random.Next(Counters.Length)];
        List<uint> words = [AddImmediate(Saved, pointer, 0), AddImmediate(counter, 0, random.Next(1, 100))];
        int start = words.Count;
        for (int i = random.Next(1, 5); i > 0; i--)
        {
            switch (random.Next(4))
            {
                case 0:
                    words.Add(Register(random.Next(8), Other(), Other(), Other()));
                    break;
                case 1:
                    Table(words, pointer);
                    break;
                default:
                    Accesses(words, pointer);
                    break;
            }
        }

        words.Add(AddImmediate(pointer, pointer, random.Next(4) == 0 ? random.Next(-300, 300) : random.Next(-8, 40) * 8));
        words.Add(AddImmediate(counter, counter, -1));
        words.Add(BranchNotZero(counter, -4 * (words.Count - start)));
        words.Add(AddImmediate(pointer, Saved, 0));
        return words;
    }

    private int Other() => Others[random.Next(Others.Length)];

    /// <summary>Loads, or stores, in a row.</summary>
    private void Accesses(List<uint> words, int pointer)
    {
        bool stores = random.Next(2) == 0, aligned = random.Next(8) != 0;
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            int width = random.Next(4);
            int offset = random.Next(-20, 40) * 8 + (aligned ? random.Next(8) >> width << width : random.Next(8));
            words.Add(stores ? Store(width, Other(), pointer, offset) : Load(random.Next(2) == 0 && width < 3 ? width + 4 : width, Other(), pointer, offset));
            if (random.Next(4) == 0)
                words.Add(Register(random.Next(8), Other(), Other(), Other()));
        }
    }

    /// <summary>A load from an address that is computed from what was loaded before.</summary>
    private void Table(List<uint> words, int pointer)
    {
        int index = Other();
        words.Add(AndImmediate(index, Other(), random.Next(2) == 0 ? 0x3f8 : 0x7f8));
        words.Add(Register(0, index, index, pointer));
        words.Add(Load(3, Other(), index, 0));
    }

    private static uint AddImmediate(int to, int from, int value) => (uint)value << 20 | (uint)from << 15 | (uint)to << 7 | 0x13;

    private static uint AndImmediate(int to, int from, int value) => (uint)value << 20 | (uint)from << 15 | 7u << 12 | (uint)to << 7 | 0x13;

    private static uint Register(int function, int to, int a, int b) => (uint)b << 20 | (uint)a << 15 | (uint)function << 12 | (uint)to << 7 | 0x33;

    private static uint Load(int function, int to, int from, int offset) => (uint)offset << 20 | (uint)from << 15 | (uint)function << 12 | (uint)to << 7 | 0x03;

    private static uint Store(int width, int value, int to, int offset) =>
        (uint)(offset >> 5 & 0x7f) << 25 | (uint)value << 20 | (uint)to << 15 | (uint)width << 12 | (uint)(offset & 31) << 7 | 0x23;

    private static uint BranchNotZero(int register, int offset) =>
        (uint)(offset >> 12 & 1) << 31 | (uint)(offset >> 5 & 0x3f) << 25 | (uint)register << 15 | 1u << 12 | (uint)(offset >> 1 & 0xf) << 8 | (uint)(offset >> 11 & 1) << 7 | 0x63;
}
