using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using Xunit;

namespace VirtKit.Tests.RiscV;

/// <summary>What machines of one process share, and what one more of them costs.</summary>
public class SharedTablesTests
{
    [Fact]
    public void InstructionSetOf_SameIsa_IsTheSameObject() =>
        Assert.Same(InstructionSet.Of(RiscVArchitecture.FullIsa), InstructionSet.Of(new string(RiscVArchitecture.FullIsa.AsSpan())));

    [Fact]
    public void InstructionSetOf_OtherIsa_IsAnotherObject() =>
        Assert.NotSame(InstructionSet.Of(RiscVArchitecture.FullIsa), InstructionSet.Of("rv64imafdc_zba"));

    /// <summary>Rows are added as words are decoded: by threads at the same time, in any order of opcodes.</summary>
    [Fact]
    public void Decode_ByManyThreadsInAnyOrder_FindsWhatAWholeSetFinds()
    {
        InstructionSet whole = new(RiscVArchitecture.FullIsa);
        string[] expected = [.. whole.Rows.Select(row => row.Encoding.Mnemonic).Order()];
        uint[] words = [.. whole.Rows.Select(row => row.Match)];
        for (int round = 0; round < 20; round++)
        {
            InstructionSet set = new(RiscVArchitecture.FullIsa);
            Parallel.For(0, 4, thread =>
            {
                uint[] shuffled = [.. words];
                new Random(thread + round * 4).Shuffle(shuffled);
                foreach (uint word in shuffled)
                {
                    InstructionSet.Row row = set.Decode(word)!;
                    Assert.Equal(whole.Decode(word)!.Encoding.Mnemonic, row.Encoding.Mnemonic);
                    Assert.Same(row, set.RowAt(row.Index));
                }
            });
            Assert.Equal(expected, set.Rows.Select(row => row.Encoding.Mnemonic).Order());
        }
    }

    [Fact]
    public void HandlerTableOf_SameSet_IsOneForEachDispatch()
    {
        InstructionSet set = InstructionSet.Of(RiscVArchitecture.FullIsa);
        Assert.Same(HandlerTable.Of<TailDispatch>(set), HandlerTable.Of<TailDispatch>(set));
        Assert.NotSame(HandlerTable.Of<TailDispatch>(set), HandlerTable.Of<LoopDispatch>(set));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Create_SecondMachine_AllocatesLittle(bool translates)
    {
        ExecutionEngine engine = translates ? new TranslatorEngine() : new InterpreterEngine();
        var options = new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine };
        if (!engine.Supports(options.Architecture, out string? reason))
            Assert.Skip(reason!);
        new Machine(options).Dispose();
        long before = GC.GetAllocatedBytesForCurrentThread();
        new Machine(options).Dispose();
        // Twice what it is; with tables of its own a machine takes 290,000 and 365,000 bytes.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 46_000);
    }
}
