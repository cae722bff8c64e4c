using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Toy;

/// <summary>An ISA that is nothing like RISC-V runs on both engines, which know nothing of it but its definitions: N guest architectures and M engines cost N + M.</summary>
public sealed class ToyTests
{
    private const int MemorySize = 0x8000, CodeSize = 0x3000, DataStart = 0x4000;

    public static TheoryData<string> Engines => ["interpreter", "interpreter-loop", "translator", "translator-checked"];

    /// <summary>Random programs: code over three pages with instructions at every offset, accesses at every alignment, across pages and where they fault.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Run_RandomPrograms_EndsAsTheReference(string engine)
    {
        Require(engine);
        int seed = Seed.Random().Next(int.MaxValue - 1000);
        int traps = 0, crossings = 0, changed = 0;
        for (int program = 0; program < 300; program++)
        {
            var random = new Random(seed + program);
            // Every other program has many stores, into itself, of what may well be instructions.
            bool stores = program % 2 == 1;
            byte[] memory = Program(random, stores);
            var reference = new ToyReference([.. memory]);
            for (int i = 0; i < 16; i++)
                reference.Slots[i] = i >= 12 ? (ulong)(stores ? random.Next(500) : random.Next(DataStart, ToyCpuEnd)) : stores ? Instructions(random) : (ulong)random.NextInt64();
            reference.Slots[ToySlots.Handler] = (ulong)random.Next(CodeSize);
            using var toy = new ToyMachine(engine, memory, reference);
            for (int slice = 0; slice < 20; slice++)
            {
                int count = random.Next(1, 400);
                int retired = reference.Run(count, 20_000);
                if (retired < count)
                    break;
                VcpuExit exit = toy.Machine.Run((ulong)count, TestContext.Current.CancellationToken);
                Assert.True(exit.Reason == ExitReason.BudgetExhausted, $"seed {seed}, program {program}: {exit}");
                Assert.True(toy.Differs(reference) is not { } difference, $"seed {seed}, program {program}, slice {slice}: {toy.Differs(reference)}");
            }

            changed += reference.ChangedFetches > 0 ? 1 : 0;
            traps += reference.Slots[ToySlots.Cause] != 0 ? 1 : 0;
            crossings += memory[0xfff] == ToyInstructions.Prefix ? 1 : 0;
        }

        // The programs are what they say.
        Assert.True(traps > 10 && crossings > 0 && changed > 4, $"{traps} programs trapped, {crossings} cross a page with prefixes, {changed} ran what they had written");
    }

    /// <summary>A program that writes the very next instruction of its block, again and again, and one that runs what it has written in the next page.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Store_IntoTheNextInstruction_ShowsAtOnce(string engine)
    {
        Require(engine);
        // add r4, r3; store [r12], r4; (what r4 says: 07 dd xx 0f e8 .. is: r13 += xx; jump back); r3 changes xx.
        byte[] memory = new byte[MemorySize];
        foreach (int at in (int[])[0x100, 0xff4, 0xffa, 0xfff])
        {
            byte[] code = [0x01, 0x43, 0x0a, 0x4c, 0x00];
            code.CopyTo(memory, at);
            var reference = new ToyReference([.. memory]);
            reference.Pc = (ulong)at;
            reference.Slots[3] = 0x1_0000;
            // The jump's own address is 3 bytes behind the store.
            reference.Slots[4] = 0x07 | 0xdd << 8 | 0x0f << 24 | 0xf8UL << 32;
            reference.Slots[12] = (ulong)at + 5;
            using var toy = new ToyMachine(engine, memory, reference);
            foreach (int count in (int[])[1, 2, 3, 50, 399])
            {
                Assert.Equal(count, reference.Run(count, 20_000));
                Assert.Equal(ExitReason.BudgetExhausted, toy.Machine.Run((ulong)count, TestContext.Current.CancellationToken).Reason);
                Assert.True(toy.Differs(reference) is not { } difference, $"code at {at:x}, {count} more: {toy.Differs(reference)}");
            }

            Assert.True(reference.ChangedFetches > 500 && reference.Slots[13] > 100, $"r13 is {reference.Slots[13]}");
        }
    }

    /// <summary>What one CPU writes shows on the other, whatever that has made of it; and so does what the host writes while they run.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Store_IntoCodeOfAnotherCpu_ShowsThere(string engine)
    {
        Require(engine);
        byte[] memory = new byte[MemorySize];
        // CPU 1 counts in r1 by what the immediate says: add r1, r1, 1; jump back.
        new byte[] { 0x07, 0x11, 0x01, 0x0f, 0xfd }.CopyTo(memory, 0x200);
        // CPU 0 writes that immediate, 3 instead of 1 (with the bytes that follow), and then stands in a loop.
        new byte[] { 0x0a, 0x4c, 0x00, 0x00, 0x0f, 0xff }.CopyTo(memory, 0x100);
        var first = new ToyReference(memory) { Pc = 0x100, Slots = { [4] = 0x0f03_1107 | 0xfdUL << 32, [12] = 0x200 } };
        var second = new ToyReference(memory) { Pc = 0x200 };
        using var toy = new ToyMachine(engine, memory, first, second);
        // CPU 1's code is known before CPU 0 changes it: it has the first turn.
        toy.Machine.Vcpus[1].Run(100, TestContext.Current.CancellationToken);
        Assert.Equal(50UL, toy.Register(1, 1));
        toy.Machine.Vcpus[0].Run(2, TestContext.Current.CancellationToken);
        toy.Machine.Vcpus[1].Run(100, TestContext.Current.CancellationToken);
        Assert.Equal(200UL, toy.Register(1, 1));
        // A device writes while the CPU runs: 5.
        using ClockTimer timer = toy.Machine.Clock.CreateTimer(new object(), () => toy.Machine.Memory.Write(new Gpa(0x202), [5]));
        timer.Set(toy.Machine.Clock.Now + 1000 * 10);
        toy.Machine.Vcpus[1].Run(2000, TestContext.Current.CancellationToken);
        Assert.InRange(toy.Register(1, 1), 200UL + 500 * 3 + 499 * 5, 200UL + 501 * 3 + 501 * 5);
    }

    /// <summary>Two CPUs on threads: one changes the other's loop as fast as it can. Neither waits for ever, and what was written last is what runs. (A check, which
    /// runs every block twice, would find another one the second time.)</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("interpreter-loop")]
    [InlineData("translator")]
    public async Task Store_IntoCodeOfACpuThatRuns_EndsWithTheLastOne(string engine)
    {
        Require(engine);
        byte[] memory = new byte[MemorySize];
        new byte[] { 0x07, 0x11, 0x01, 0x0f, 0xfd }.CopyTo(memory, 0x200);
        // r4 ^= r3, which makes 3 of the immediate and 1 again; store; jump back.
        new byte[] { 0x03, 0x43, 0x0a, 0x4c, 0x00, 0x0f, 0xfb }.CopyTo(memory, 0x100);
        var first = new ToyReference(memory) { Pc = 0x100, Slots = { [3] = 0x2_0000, [4] = 0x0f01_1107 | 0xfdUL << 32, [12] = 0x200 } };
        using var toy = new ToyMachine(engine, memory, VcpuScheduling.Threads, first, new ToyReference(memory) { Pc = 0x200 });
        for (int round = 0; round < 10; round++)
        {
            using var stop = new CancellationTokenSource(20);
            VcpuExit exit = await toy.Machine.RunAsync(stop.Token).WaitAsync(Hang.Limit, TestContext.Current.CancellationToken);
            Assert.Equal(ExitReason.Kicked, exit.Reason);
            byte[] immediate = new byte[1];
            toy.Machine.Memory.Read(new Gpa(0x202), immediate);
            // To the loop's beginning first.
            ulong before = toy.Register(1, 1);
            toy.Machine.Vcpus[1].Run(1, TestContext.Current.CancellationToken);
            toy.Machine.Vcpus[1].Run(toy.Register(1, 1) == before ? 0ul : 1, TestContext.Current.CancellationToken);
            before = toy.Register(1, 1);
            toy.Machine.Vcpus[1].Run(100, TestContext.Current.CancellationToken);
            Assert.Equal(50UL * immediate[0], toy.Register(1, 1) - before);
        }

        Assert.True(toy.Register(1, 1) > 1000);
    }

    private static void Require(string engine)
    {
        if (engine.StartsWith("translator", StringComparison.Ordinal) && !new TranslatorEngine().Supports(new VirtKit.RiscV.RiscVArchitecture(), out string? reason))
            Assert.Skip(reason ?? "");
    }

    /// <summary>Where a store behind a load faults, the instruction has changed nothing, also no flag.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void AddToMemory_ThatMayReadAndNotWrite_ChangesNothing(string engine)
    {
        Require(engine);
        // compare r1, r1; add [r2], r1; at the handler nops.
        byte[] memory = new byte[MemorySize];
        new byte[] { 0x04, 0x11, 0x0c, 0x12, 0x00 }.CopyTo(memory, 0);
        var reference = new ToyReference(memory) { Slots = { [1] = 5, [2] = ToyCpu.Closed, [ToySlots.Handler] = 0x100 } };
        using var toy = new ToyMachine(engine, memory, reference);
        toy.Machine.Run(2, TestContext.Current.CancellationToken);
        reference.Run(2, 10);
        Assert.Null(toy.Differs(reference));
        Assert.Equal((1UL, ToyCpu.StoreCause), (reference.Slots[ToySlots.Zero], reference.Slots[ToySlots.Cause]));
    }

    private const int ToyCpuEnd = MemorySize;

    /// <summary>Eight bytes of instructions without operands, and of such as have two registers.</summary>
    private static ulong Instructions(Random random)
    {
        byte[] bytes = new byte[8];
        for (int i = 0; i < 8; i++)
            bytes[i] = random.Next(3) == 0 && i < 7 ? (byte)random.Next(1, 7) : (byte)(random.Next(2) * ToyInstructions.Prefix);
        return BitConverter.ToUInt64(bytes);
    }

    /// <summary>Instructions one after the other, most of them whole and with registers that keep the program in its memory most of the time.</summary>
    private static byte[] Program(Random random, bool stores)
    {
        byte[] memory = new byte[MemorySize];
        random.NextBytes(memory.AsSpan(DataStart));
        for (int at = 0; at < CodeSize;)
        {
            int opcode = stores && random.Next(3) == 0 ? 0x0a : random.Next(ToyInstructions.Opcodes), operands = ToyInstructions.OperandBytes(opcode);
            int prefixes = random.Next(4) == 0 ? random.Next(15 - operands) : 0;
            for (int i = 0; i < prefixes && at < CodeSize; i++)
                memory[at++] = ToyInstructions.Prefix;
            memory[at++] = (byte)opcode;
            if (operands == 0)
                continue;
            byte[] bytes = new byte[operands];
            random.NextBytes(bytes);
            // Accesses go through r12 to r15, which few instructions change.
            bool isAccess = opcode is 0x09 or 0x0a or 0x0b or 0x0c or 0x14 or 0x15 or 0x1d or 0x1e;
            if (operands is 1 or 2 or 5 && opcode is not (0x0d or 0x0e or 0x0f))
                bytes[0] = (byte)((random.Next(20) == 0 ? 15 : random.Next(12)) << 4 | (isAccess ? random.Next(12, 16) : random.Next(16)));
            bytes.CopyTo(memory, at);
            at += operands;
        }

        return memory;
    }

    private sealed class ToyMachine : IDisposable
    {
        private readonly ToyCpu[] _cpus;

        public ToyMachine(string engine, byte[] memory, params ReadOnlySpan<ToyReference> references)
            : this(engine, memory, VcpuScheduling.Deterministic, references)
        {
        }

        public ToyMachine(string engine, byte[] memory, VcpuScheduling scheduling, params ReadOnlySpan<ToyReference> references)
        {
            var architecture = new ToyArchitecture();
            Machine = new Machine(new MachineOptions
            {
                Architecture = architecture,
                VcpuCount = references.Length,
                Scheduling = scheduling,
                Engine = engine switch
                {
                    "interpreter" => new InterpreterEngine(),
                    "interpreter-loop" => new InterpreterEngine { Dispatch = InterpreterDispatch.Loop },
                    _ => new ToyTranslator(new TranslatorOptions { CrossCheck = engine == "translator-checked" }),
                },
            });
            Machine.Memory.MapRam(new Gpa(0), MemorySize);
            Machine.Memory.Write(new Gpa(0), memory);
            _cpus = [.. architecture.System!.Cpus.Cast<ToyCpu>()];
            for (int i = 0; i < references.Length; i++)
                _cpus[i].PutRegisters(Bytes(references[i]));
        }

        public Machine Machine { get; }

        /// <summary>A register of one of the CPUs.</summary>
        public ulong Register(int cpu, int number)
        {
            byte[] registers = new byte[ToyInstructions.Shared.RegistersSize];
            _cpus[cpu].GetRegisters(registers);
            return BitConverter.ToUInt64(registers, 8 * number);
        }

        public string? Differs(ToyReference reference)
        {
            byte[] registers = new byte[ToyInstructions.Shared.RegistersSize], memory = new byte[MemorySize];
            _cpus[0].GetRegisters(registers);
            byte[] expected = Bytes(reference);
            foreach (GuestRegister register in ToyInstructions.Shared.Registers)
            {
                if (register.Get(registers) != register.Get(expected))
                    return $"{register.Name} is {register.Get(registers):x}, not {register.Get(expected):x}";
            }

            Machine.Memory.Read(new Gpa(0), memory);
            int at = memory.AsSpan().CommonPrefixLength(reference.Memory);
            return at == MemorySize ? null : $"memory at {at:x} is {memory[at]:x}, not {reference.Memory[at]:x}";
        }

        public void Dispose() => Machine.Dispose();

        private static byte[] Bytes(ToyReference reference)
        {
            byte[] bytes = new byte[ToyInstructions.Shared.RegistersSize];
            for (int i = 0; i < ToySlots.Count; i++)
                BitConverter.TryWriteBytes(bytes.AsSpan(8 * i), reference.Slots[i]);
            BitConverter.TryWriteBytes(bytes.AsSpan(8 * ToySlots.Count), reference.Pc);
            return bytes;
        }
    }
}
