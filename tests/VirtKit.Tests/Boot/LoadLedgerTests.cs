using VirtKit.Boot;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

public sealed class LoadLedgerTests
{
    private static readonly Gpa Ram = new(0x8000_0000);
    private const ulong RamSize = 64 << 10;

    [Fact]
    public void Claim_OverlappingAnother_NamesBoth()
    {
        AddressSpace memory = Memory();
        LoadedRange kernel = memory.Loaded.Claim("the kernel", Ram, 0x2000);
        var error = Assert.Throws<LoadOverlapException>(() => memory.Loaded.Write("the initial RAM disk", Ram + 0x1fff, [1]));
        Assert.StartsWith("The initial RAM disk at 0x80001fff, 1 bytes, overlaps the kernel at 0x80000000, 8192 bytes.", error.Message, StringComparison.Ordinal);
        Assert.Equal((new LoadedRange("the initial RAM disk", Ram + 0x1fff, 1), kernel), (error.Wanted, error.Taken));
        Assert.True(memory.TryRead(Ram + 0x1fff, out byte untouched));
        Assert.Equal(0, untouched);
        memory.Loaded.Write("the initial RAM disk", Ram + 0x2000, [1]);
        Assert.Equal(["the kernel", "the initial RAM disk"], memory.Loaded.Ranges.Select(range => range.Name));
    }

    [Fact]
    public void Claim_OutsideMemoryOrEmpty_IsRefused()
    {
        AddressSpace memory = Memory();
        foreach ((Gpa start, ulong size) in new[] { (Ram + RamSize, 1ul), (Ram + 1, RamSize), (new Gpa(0), 1ul), (Ram, ulong.MaxValue), (new Gpa(ulong.MaxValue), 2ul) })
            Assert.Contains("does not lie in the machine's memory", Assert.Throws<InvalidImageException>(() => memory.Loaded.Claim("it", start, size)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Loaded.Claim("it", Ram, 0));
        Assert.Throws<ArgumentException>(() => memory.Loaded.Claim("", Ram, 1));
        Assert.Empty(memory.Loaded.Ranges);
    }

    [Fact]
    public void Reset_OfTheMachine_BeginsANewPlan()
    {
        using var machine = new Machine(new MachineOptions { Architecture = new VirtKit.RiscV.RiscVArchitecture() });
        machine.Memory.MapRam(Ram, RamSize);
        machine.Memory.Loaded.Claim("the kernel", Ram, RamSize);
        machine.Reset();
        machine.Memory.Loaded.Claim("another kernel", Ram, RamSize);
    }

    [Fact]
    public void Unmap_OfARegion_ForgetsWhatWasLoadedThere()
    {
        AddressSpace memory = Memory();
        memory.Loaded.Claim("below", Ram, RamSize / 2 - 1);
        memory.Loaded.Claim("across", Ram + (RamSize / 2 - 1), 2);
        memory.Loaded.Claim("above", Ram + (RamSize / 2 + 1), 10);
        memory.Unmap(memory.Find(Ram + RamSize / 2)!);
        Assert.Equal("below", Assert.Single(memory.Loaded.Ranges).Name);
    }

    [Fact]
    public void Claims_Random_AgreeWithAMapOfBytes()
    {
        Random random = Seed.Usual(1);
        for (int round = 0; round < 50; round++)
        {
            AddressSpace memory = Memory();
            bool[] taken = new bool[RamSize];
            for (int i = 0; i < 60; i++)
            {
                int start = random.Next((int)RamSize), size = random.Next(1, Math.Min(4096, (int)RamSize - start + 1));
                bool free = !taken.AsSpan(start, size).Contains(true);
                Assert.Equal(free, memory.Loaded.FindOverlap(Ram + (ulong)start, (ulong)size) is null);
                if (random.Next(4) == 0 && memory.Loaded.Ranges.Count > 0)
                {
                    LoadedRange gone = memory.Loaded.Ranges.ElementAt(random.Next(memory.Loaded.Ranges.Count));
                    Assert.True(memory.Loaded.Release(gone));
                    Assert.False(memory.Loaded.Release(gone));
                    taken.AsSpan((int)(gone.Start - Ram), (int)gone.Size).Clear();
                }
                else if (free)
                {
                    memory.Loaded.Claim($"claim {i}", Ram + (ulong)start, (ulong)size);
                    taken.AsSpan(start, size).Fill(true);
                }

                int wanted = random.Next(1, 8192), alignment = 1 << random.Next(13), low = random.Next((int)RamSize), high = random.Next(low, (int)RamSize + 1);
                int expected = Enumerable.Range(low, Math.Max(0, high - wanted - low + 1)).Reverse().Where(at => at % alignment == 0).Where(at => !taken.AsSpan(at, wanted).Contains(true)).FirstOrDefault(-1);
                bool found = memory.Loaded.TryFindFree((ulong)wanted, (ulong)alignment, Ram + (ulong)low, Ram + (ulong)high, out Gpa place);
                Assert.Equal(expected, found ? (int)(place - Ram) : -1);
            }
        }
    }

    private static AddressSpace Memory()
    {
        var memory = new AddressSpace();
        // Two regions side by side: a range may cross from one into the other.
        memory.MapRam(Ram, RamSize / 2);
        memory.MapRom(Ram + RamSize / 2, RamSize / 2);
        return memory;
    }
}
