using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Checking;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>The translator against the interpreter: after every budget both have retired the same, and all state and memory is equal.</summary>
public sealed class DifferentialTests
{
    private const ulong Instructions = 10_000_000, PerProgram = 20_000;

    /// <summary>As long as <see cref="Soak"/> says.</summary>
    [Fact]
    public void Run_RandomPrograms_EndsAsOnTheInterpreter() => Compare(Seed.Random(), Soak.While(retired => retired < Instructions), new TranslatorOptions());

    [Fact]
    public void Run_RandomProgramsWithTheSmallestCache_EndsAsOnTheInterpreter() =>
        Compare(Seed.Random(), retired => retired < Instructions / 5, new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize });

    [Fact]
    public void Run_RandomProgramsWithCrossCheck_FindsNothing() =>
        Compare(Seed.Random(), retired => retired < Instructions / 10, new TranslatorOptions { CrossCheck = true });

    /// <summary>In S-mode, through tables that the host changes between budgets, mostly without a fence: also what goes on to be seen of them is the same.</summary>
    [Fact]
    public void Run_RandomProgramsUnderPaging_EndsAsOnTheInterpreter() =>
        Compare(Seed.Random(), Soak.While(retired => retired < Instructions / 4), new TranslatorOptions(), pages: true);

    private static void Compare(Random random, Func<ulong, bool> goesOn, TranslatorOptions options, bool pages = false)
    {
        Translators.Require();
        var program = new RandomProgram(random, new InstructionSet(RiscVArchitecture.FullIsa));
        using Machine expected = Create(new InterpreterEngine()), actual = Create(new TranslatorEngine(options));
        while (goesOn(expected.Vcpus[0].Counters.Retired))
        {
            int seed = random.Next();
            byte[] code = program.NextCode(), data = program.NextData();
            RiscVState state = program.NextState(expected.Vcpus[0].GetState<RiscVState>());
            RandomPages? tables = pages ? new RandomPages(random, ref state) : null;
            if (tables is null)
                ForbidExecution(ref state, RandomProgram.Data, 0x1_0000);
            foreach (Machine machine in (ReadOnlySpan<Machine>)[expected, actual])
            {
                machine.Memory.Write(new Gpa(RandomProgram.Code), code);
                machine.Memory.Write(new Gpa(RandomProgram.Data), data);
                tables?.Write(machine.Memory);
                machine.Vcpus[0].SetState(state);
            }

            Step(expected, actual, new Random(seed), tables);
        }
    }

    /// <summary>Data that is executed is code that changes without a fence.i, too: a locked PMP entry holds machine mode to reading and writing it.</summary>
    private static void ForbidExecution(ref RiscVState state, ulong start, ulong size)
    {
        const byte Locked = 0x80, NaturallyAligned = 3 << 3, ReadWrite = 3;
        state.PmpConfiguration[0] = Locked | NaturallyAligned | ReadWrite;
        state.PmpAddress[0] = (start | (size / 2 - 1)) >> 2;
    }

    private static void Step(Machine expected, Machine actual, Random random, RandomPages? tables)
    {
        for (ulong left = PerProgram; left > 0;)
        {
            ulong budget = Math.Min(left, random.Next(4) == 0 ? (ulong)random.Next(1, 80) : (ulong)random.Next(80, 6000));
            left -= budget;
            RiscVState before = expected.Vcpus[0].GetState<RiscVState>();
            VcpuExit exit = expected.Vcpus[0].Run(budget);
            Assert.Equal(exit, actual.Vcpus[0].Run(budget));
            RiscVState a = expected.Vcpus[0].GetState<RiscVState>(), b = actual.Vcpus[0].GetState<RiscVState>();
            if (StateText.Difference(a, b) is { } difference)
                Assert.Fail($"After {budget} instructions from {before.Pc:x}: {difference}");
            Assert.Equal(expected.Vcpus[0].Counters.Retired, actual.Vcpus[0].Counters.Retired);
            if (exit.Reason != ExitReason.BudgetExhausted)
                break;
            tables?.Change(expected.Memory, actual.Memory);
        }

        foreach ((ulong address, int length) in (ReadOnlySpan<(ulong, int)>)[(RandomProgram.Code, 0x1_0000), (RandomProgram.Data, RandomProgram.DataSize), (RandomPages.Tables, RandomPages.Size)])
        {
            byte[] a = new byte[length], b = new byte[length];
            expected.Memory.Read(new Gpa(address), a);
            actual.Memory.Read(new Gpa(address), b);
            int difference = a.AsSpan().CommonPrefixLength(b);
            Assert.True(difference == length, $"Memory differs at {address + (ulong)difference:x}.");
        }
    }

    private static Machine Create(ExecutionEngine engine)
    {
        var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine });
        // Code that changes without a fence.i may be seen or not, by each engine as it likes; a loop's pointer may well get there.
        machine.Memory.MapRom(new Gpa(RandomProgram.Code), 0x1_0000);
        machine.Memory.MapRam(new Gpa(RandomProgram.Data), 0x1_0000);
        machine.Memory.MapRam(new Gpa(RandomPages.Tables), RandomPages.Size);
        return machine;
    }
}
