using System.Diagnostics;
using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

public sealed partial class X64UserProgramTests
{
    private const ulong Code = 0x40_0000, Stack = 0x7fff_0000_0000;

    [Fact]
    public void Run_SystemCalls_ComeBackWithRegistersAndGoOn()
    {
        using X64UserProgram program = Create(a =>
        {
            a.mov(ebx, 3);
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.mov(eax, ebx);
            a.syscall();
            a.add(rbp, rax);
            a.dec(ebx);
            a.jnz(again);
            a.mov(eax, 60);
            a.syscall();
        });
        for (ulong number = 3; number > 0; number--)
        {
            Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
            X64Registers registers = program.Registers;
            Assert.Equal(number, registers.Rax);
            Assert.Equal(registers.Rip, registers.Rcx);
            Assert.Equal(registers.Rflags, registers.R11);
            registers.Rax = number * 100;
            program.Registers = registers;
        }

        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(60ul, program.Registers.Rax);
        Assert.Equal(600ul, program.Registers.Rbp);
    }

    [Fact]
    public void Run_Exceptions_AreTypedWithVectorErrorCodeAndAddress()
    {
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 6), RunOnce(a => a.ud2()));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 3), RunOnce(a => a.int3()));
        X64UserExit software = RunOnce(a => a.@int(0x80));
        Assert.Equal(X64UserExitReason.Fault, software.Reason);
        Assert.True((software.Vector, software.ErrorCode) is (13, 0x402) or (6, 0), $"{software}: #GP was expected, or #UD as a nested host reports it");
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 0), RunOnce(a =>
        {
            a.xor(ecx, ecx);
            a.div(ecx);
        }));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 6, new Gva(0x1234_5678)), RunOnce(a =>
        {
            a.mov(rbx, 0x1234_5678);
            a.mov(__byte_ptr[rbx], al);
        }));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 7, new Gva(Code)), RunOnce(a =>
        {
            a.mov(rbx, Code);
            a.mov(__byte_ptr[rbx], al);
        }));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 0x15, new Gva(Stack)), RunOnce(a =>
        {
            a.mov(rbx, Stack);
            a.jmp(rbx);
        }));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 5, new Gva(0xffff_ff80_0000_4ff8)), RunOnce(a =>
        {
            a.mov(rbx, 0xffff_ff80_0000_4ff8);
            a.mov(rax, __qword_ptr[rbx]);
        }));
    }

    public static TheoryData<string, string> PrivilegedInstructions { get; } = new()
    {
        { "hlt", "f4" }, { "cli", "fa" }, { "out", "e680" }, { "in", "ed" }, { "mov from cr3", "0f20d8" }, { "mov to cr0", "0f22c0" }, { "wrmsr", "0f30" }, { "rdmsr", "0f32" },
        { "lidt", "0f0118" }, { "invlpg", "0f0138" }, { "wbinvd", "0f09" }, { "prefixed wbinvd", "660f09" },
    };

    [Theory, MemberData(nameof(PrivilegedInstructions))]
    public void Run_PrivilegedInstruction_ComesBackInFrontOfIt(string name, string bytes)
    {
        using X64UserProgram program = Create(a => a.db(Convert.FromHexString(bytes)));
        X64UserExit exit = Run(program);
        Assert.True(exit == new X64UserExit(X64UserExitReason.PrivilegedInstruction, 13), $"{name}: {exit}");
        Assert.Equal(Code, program.Registers.Rip);
    }

    [Fact]
    public void Run_AfterAFaultWasRepaired_TheInstructionIsExecutedAgain()
    {
        using X64UserProgram program = Create(a =>
        {
            a.mov(rbx, 0x50_0000);
            a.mov(rax, __qword_ptr[rbx]);
            a.syscall();
        });
        X64UserExit exit = Run(program);
        Assert.Equal(new Gva(0x50_0000), exit.Address);
        program.Map(exit.Address, 0x1000, X64UserAccess.Read);
        Assert.True(program.TryWrite(exit.Address, BitConverter.GetBytes(0x1122334455667788)));
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(0x1122334455667788ul, program.Registers.Rax);
    }

    [Fact]
    public void Run_EndlessLoop_EndsWithTheBudgetAndGoesOn()
    {
        using X64UserProgram program = Create(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(rax);
            a.jmp(again);
        });
        RunOn(0);
        ulong first = program.Registers.Rax;
        program.GetState(out X64State state);
        Assert.Equal(3, state.Cs.Selector & 3);
        RunOn(first);
        Assert.True(program.Registers.Rax > first);

        X64Registers registers = program.Registers;
        registers.Rax = 0;
        program.Registers = registers;
        using var source = new CancellationTokenSource(20);
        Assert.Equal(X64UserExitReason.Cancelled, program.Run(Timeout.InfiniteTimeSpan, source.Token).Reason);

        // A busy host may take all of a short time for itself.
        void RunOn(ulong from)
        {
            for (int i = 0; i == 0 || (i < 100 && program.Registers.Rax == from); i++)
                Assert.Equal(X64UserExitReason.TimeExpired, program.Run(TimeSpan.FromMilliseconds(20), TestContext.Current.CancellationToken).Reason);
            Assert.NotEqual(from, program.Registers.Rax);
        }
    }

    [Fact]
    public void Run_HostileJumps_AreTypedExits()
    {
        // Into the page behind LSTAR, to a non-canonical address by a forged system call, with every flag set.
        using X64UserProgram program = Create(a =>
        {
            a.mov(rcx, 0x8000_0000_0000);
            a.mov(r11, -1);
            a.mov(rbx, 0xffff_ff80_0000_6ff8);
            a.jmp(rbx);
        });
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(14, Run(program).Vector);
        Assert.Equal(0ul, program.Registers.Rip);

        Assert.Equal(X64UserExitReason.Fault, RunOnce(a =>
        {
            a.mov(rax, 0x8000_0000_0000);
            a.jmp(rax);
        }).Reason);
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 1), RunOnce(a =>
        {
            a.pushfq();
            a.or(__dword_ptr[rsp], 0x100);
            a.popfq();
            a.nop();
            a.nop();
        }));
        Assert.Equal(X64UserExitReason.Fault, RunOnce(a =>
        {
            a.xor(esp, esp);
            a.push(rax);
        }).Reason);
    }

    [Fact]
    public void Run_SelfModifyingCode_ExecutesWhatWasWritten()
    {
        using X64UserProgram program = Create(a =>
        {
            a.mov(rbx, 0x60_0000);
            a.mov(__dword_ptr[rbx], unchecked((int)0xc3c0_ff48)); // inc rax; ret
            a.xor(eax, eax);
            a.call(rbx);
            a.mov(__byte_ptr[rbx + 2], 0xc8); // dec rax
            a.call(rbx);
            a.call(rbx);
            a.syscall();
        });
        program.Map(new Gva(0x60_0000), 0x1000, X64UserAccess.Write | X64UserAccess.Execute);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(ulong.MaxValue, program.Registers.Rax);
    }

    [Fact]
    public void Run_RandomBytes_EndInTypedExits()
    {
        using X64UserProgram program = Create(a => a.nop());
        int seed = Environment.TickCount;
        var random = new Random(seed);
        byte[] code = new byte[64];
        for (int round = 0; round < 500; round++)
        {
            random.NextBytes(code);
            Assert.True(program.TryWrite(new Gva(Code), code));
            program.Registers = new X64Registers
            {
                Rip = Code,
                Rsp = Stack + 0x800,
                Rflags = (ulong)random.NextInt64(),
                Rax = (ulong)random.NextInt64(),
                Rbx = Stack,
                Rcx = (ulong)random.NextInt64(),
                Rdx = Code,
                Rsi = Stack + 0x100,
                Rdi = Stack + 0x200,
            };
            X64UserExit exit = program.Run(TimeSpan.FromMilliseconds(5), TestContext.Current.CancellationToken);
            Assert.True(exit.Reason != X64UserExitReason.InternalError, $"seed {seed}, round {round}, {Convert.ToHexString(code)}: {exit}");
        }
    }

    [Fact]
    public void Map_MoreThanThereIs_IsRefused()
    {
        using X64UserProgram program = Create(a => a.nop(), 0x10_0000);
        Assert.Throws<VirtKitException>(() => program.Map(new Gva(0x1000_0000), 0x20_0000, X64UserAccess.Write));
        Assert.Throws<ArgumentException>(() => program.Map(new Gva(Code), 0x1000, X64UserAccess.Write));
        Assert.Throws<ArgumentException>(() => program.Map(new Gva(0), 0x1000, X64UserAccess.Write));
        Assert.Throws<ArgumentException>(() => program.Map(new Gva(0x7fff_ffff_f000), 0x1000, X64UserAccess.Write));
        Assert.False(program.TryRead(new Gva(0x7000_0000), new byte[1]));
        Assert.False(program.TryRead(new Gva(0xffff_ff80_0000_4000), new byte[1]));
    }

    [Fact]
    public void Load_StaticExecutable_RunsAndAnswersThroughItsSystemCalls()
    {
        string compiler = Require.Program("gcc", "gcc");
        Require.Kvm();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("virtkit-user");
        try
        {
            string source = Path.Combine(folder.FullName, "hello.c"), binary = Path.Combine(folder.FullName, "hello");
            File.WriteAllText(source, """
                static char text[] = "hello from ring 3";
                static long call(long n, long a, long b, long c)
                { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
                void _start(void) { double x = 2; for (volatile int i = 0; i < 10; i++) x *= 1.5; call(231, call(1, 1, (long)text, sizeof text - 1) + (long)x, 0, 0); }
                """);
            using (Process build = Process.Start(compiler, ["-O1", "-static", "-nostdlib", "-fno-stack-protector", "-o", binary, source]))
                build.WaitForExit();
            using var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine() });
            program.Load(ElfImage.Parse(File.ReadAllBytes(binary), ElfMachine.X64));
            Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
            X64Registers registers = program.Registers;
            byte[] text = new byte[registers.Rdx];
            Assert.True(program.TryRead(new Gva(registers.Rsi), text));
            Assert.Equal((1ul, "hello from ring 3"), (registers.Rax, System.Text.Encoding.ASCII.GetString(text)));
            registers.Rax = registers.Rdx;
            program.Registers = registers;
            Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
            Assert.Equal((231ul, 17ul + 115), (program.Registers.Rax, program.Registers.Rdi));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static X64UserExit RunOnce(Action<Assembler> write)
    {
        using X64UserProgram program = Create(write);
        return Run(program);
    }

    private static X64UserExit Run(X64UserProgram program) => program.Run(X64Guest.HangLimit, TestContext.Current.CancellationToken);

    private static X64UserProgram Create(Action<Assembler> write, ulong memory = 4 << 20)
    {
        Require.Kvm();
        var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = memory });
        program.Map(new Gva(Code), 0x1000, X64UserAccess.Execute);
        program.Map(new Gva(Stack), 0x1000, X64UserAccess.Write);
        Assert.True(program.TryWrite(new Gva(Code), X64Guest.Assemble(64, write, Code)));
        program.Registers = new X64Registers { Rip = Code, Rsp = Stack + 0x1000 };
        return program;
    }
}
