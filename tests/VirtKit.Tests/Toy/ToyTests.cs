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
        if (engine.StartsWith("translator", StringComparison.Ordinal) && !new TranslatorEngine().Supports(new VirtKit.RiscV.RiscVArchitecture(), out string? reason))
            Assert.Skip(reason ?? "");
        int seed = Seed.Random().Next(int.MaxValue - 1000);
        int traps = 0, crossings = 0;
        for (int program = 0; program < 60; program++)
        {
            var random = new Random(seed + program);
            byte[] memory = Program(random);
            var reference = new ToyReference([.. memory]);
            for (int i = 0; i < 16; i++)
                reference.Slots[i] = i >= 12 ? (ulong)random.Next(DataStart, ToyCpuEnd) : (ulong)random.NextInt64();
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

            traps += reference.Slots[ToySlots.Cause] != 0 ? 1 : 0;
            crossings += memory[0xfff] == ToyInstructions.Prefix ? 1 : 0;
        }

        // The programs are what they say.
        Assert.True(traps > 10 && crossings > 0, $"{traps} programs trapped, {crossings} cross a page with prefixes");
    }

    /// <summary>Where a store behind a load faults, the instruction has changed nothing, also no flag.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void AddToMemory_ThatMayReadAndNotWrite_ChangesNothing(string engine)
    {
        if (engine.StartsWith("translator", StringComparison.Ordinal) && !new TranslatorEngine().Supports(new VirtKit.RiscV.RiscVArchitecture(), out string? reason))
            Assert.Skip(reason ?? "");
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

    /// <summary>Instructions one after the other, most of them whole and with registers that keep the program in its memory most of the time.</summary>
    private static byte[] Program(Random random)
    {
        byte[] memory = new byte[MemorySize];
        random.NextBytes(memory.AsSpan(DataStart));
        for (int at = 0; at < CodeSize;)
        {
            int opcode = random.Next(ToyInstructions.Opcodes), operands = ToyInstructions.OperandBytes(opcode);
            int prefixes = random.Next(4) == 0 ? random.Next(15 - operands) : 0;
            for (int i = 0; i < prefixes && at < CodeSize; i++)
                memory[at++] = ToyInstructions.Prefix;
            memory[at++] = (byte)opcode;
            if (operands == 0)
                continue;
            byte[] bytes = new byte[operands];
            random.NextBytes(bytes);
            // Accesses go through r12 to r15, which few instructions change.
            bool isAccess = opcode is 0x09 or 0x0a or 0x0b or 0x0c;
            if (operands is 1 or 2 or 5 && opcode is not (0x0d or 0x0e or 0x0f))
                bytes[0] = (byte)((random.Next(20) == 0 ? 15 : random.Next(12)) << 4 | (isAccess ? random.Next(12, 16) : random.Next(16)));
            bytes.CopyTo(memory, at);
            at += operands;
        }

        return memory;
    }

    private sealed class ToyMachine : IDisposable
    {
        private readonly ToyCpu _cpu;

        public ToyMachine(string engine, byte[] memory, ToyReference reference)
        {
            var architecture = new ToyArchitecture();
            Machine = new Machine(new MachineOptions
            {
                Architecture = architecture,
                Engine = engine switch
                {
                    "interpreter" => new InterpreterEngine(),
                    "interpreter-loop" => new InterpreterEngine { Dispatch = InterpreterDispatch.Loop },
                    _ => new ToyTranslator(new TranslatorOptions { CrossCheck = engine == "translator-checked" }),
                },
            });
            Machine.Memory.MapRam(new Gpa(0), MemorySize);
            Machine.Memory.Write(new Gpa(0), memory);
            _cpu = architecture.System!.Cpu!;
            _cpu.PutRegisters(Bytes(reference));
        }

        public Machine Machine { get; }

        public string? Differs(ToyReference reference)
        {
            byte[] registers = new byte[ToyInstructions.Shared.RegistersSize], memory = new byte[MemorySize];
            _cpu.GetRegisters(registers);
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
