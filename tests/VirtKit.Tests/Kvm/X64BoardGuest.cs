using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>A guest of ours in 64-bit mode on a whole <see cref="X64MicroVm"/>, with the kernel's interrupt chips or ours. It has an interrupt table whose handlers note the
/// vector in a log, count, end the interrupt at the local APIC and go on where they interrupted.</summary>
internal sealed class X64BoardGuest : IDisposable
{
    /// <summary>Where what the guest saw lies: bytes, from here on. RBP points behind the last.</summary>
    public const ulong Log = 0x6_0000;

    /// <summary>A word for each vector: how often it has come.</summary>
    public const ulong Counts = 0x5_0000;

    public const uint LocalApic = 0xfee0_0000, IoApic = 0xfec0_0000;

    /// <summary>The page of a start-up message: code that brings the second vCPU to where <see cref="LoadSecond"/> has put its own.</summary>
    public const byte StartUpPage = 8;

    private const ulong SecondCode = 0x3_0000, SecondLog = 0x6_8000, SecondStack = 0x2_8000;

    private const ulong Table = 0x4_0000, Handlers = 0x4_1000, HandlerSize = 128;
    private const int MemorySize = 16 << 20;
    private const byte ExitPort = 0xf4;

    private readonly X64MicroVm _board;

    public X64BoardGuest(KvmInterruptController chips, int vcpuCount = 1, X64Architecture? architecture = null, IConsoleBackend? console = null)
    {
        Require.Kvm();
        _board = new X64MicroVm(new X64MicroVmOptions
        {
            Machine = new MachineOptions
            {
                Architecture = architecture ?? new X64Architecture(),
                Engine = new KvmEngine(new KvmOptions { InterruptController = chips }),
                Scheduling = VcpuScheduling.Threads,
                VcpuCount = vcpuCount,
            },
            MemorySize = MemorySize,
            Console = console ?? new NullConsole(),
        });
    }

    /// <summary>Both kinds of chips.</summary>
    public static TheoryData<KvmInterruptController> Chips => [KvmInterruptController.Kernel, KvmInterruptController.External];

    public Machine Machine => _board.Machine;

    public X64MicroVm Board => _board;

    /// <summary>Loads the first vCPU's code. It starts with interrupts off, RBP at the log, and RSP at a stack.</summary>
    public X64BoardGuest Load(Action<Assembler> write)
    {
        WriteInterruptTable();
        Machine.Memory.Write(new Gpa(X64Guest.Code), X64Guest.Assemble(64, write));
        X64State state = Machine.Vcpus[0].GetState<X64State>();
        X64Guest.Enter(Machine.Memory, ref state, 64);
        state.Registers.Rbp = Log;
        state.Idtr = new X64DescriptorTable { Base = Table, Limit = 0xfff };
        Machine.Vcpus[0].SetState(in state);
        return this;
    }

    /// <summary>Loads the second vCPU's code, which it reaches in 64-bit mode with a log and a stack of its own.</summary>
    public X64BoardGuest LoadSecond(Action<Assembler> write)
    {
        const int descriptors = 0x7000, tables = 0x7100;
        AddressSpace memory = Machine.Memory;
        memory.TryWrite(new Gpa(tables), (ushort)0x17);
        memory.TryWrite(new Gpa(tables + 2), (uint)descriptors);
        memory.TryWrite(new Gpa(tables + 0x10), (ushort)0xfff);
        memory.TryWrite(new Gpa(tables + 0x12), Table);
        memory.Write(new Gpa((ulong)StartUpPage << 12), X64Guest.Assemble(16, a =>
        {
            a.cli();
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.lgdt(__[tables]);
            a.mov(eax, 0x620);
            a.mov(cr4, eax);
            a.mov(eax, (uint)X64Guest.Tables);
            a.mov(cr3, eax);
            a.mov(ecx, 0xc000_0080);
            a.mov(eax, 0x100);
            a.xor(edx, edx);
            a.wrmsr();
            a.mov(eax, 0x8000_0033);
            a.mov(cr0, eax);
            // JMP FAR 8:SecondCode
            a.db([0x66, 0xea, .. BitConverter.GetBytes((uint)SecondCode), 8, 0]);
        }, 0));
        memory.Write(new Gpa(SecondCode), X64Guest.Assemble(64, a =>
        {
            a.mov(eax, 0x10);
            a.mov(ss, ax);
            a.mov(ds, ax);
            a.mov(es, ax);
            a.mov(rsp, SecondStack);
            a.mov(rbp, SecondLog);
            a.lidt(__[tables + 0x10]);
            write(a);
        }, SecondCode));
        return this;
    }

    /// <summary>Runs the machine until the guest writes to the debug-exit port, and gives what it wrote.</summary>
    public ulong Run()
    {
        using var limit = new CancellationTokenSource(Hang.Limit);
        VcpuExit exit = Machine.Run(limit.Token);
        Assert.True(exit.Reason == ExitReason.Shutdown, $"{exit}; {Describe()}");
        return exit.Code;
    }

    /// <summary>What the guest has noted.</summary>
    public string ReadLog(int vcpu = 0)
    {
        ulong start = vcpu == 0 ? Log : SecondLog, end = Machine.Vcpus[vcpu].GetState<X64Registers>().Rbp;
        byte[] bytes = new byte[end >= start ? (int)Math.Min(end - start, 0x1000) : 0];
        Machine.Memory.Read(new Gpa(start), bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <summary>All that makes the machine.</summary>
    public MachineSnapshot Save() => Machine.Capture();

    /// <summary>Restores the state, which is of no use any more afterwards.</summary>
    public X64BoardGuest Restore(MachineSnapshot saved)
    {
        using (saved)
            Machine.Restore(saved);
        return this;
    }

    public uint Count(byte vector)
    {
        Assert.True(Machine.Memory.TryRead(new Gpa(Counts + (ulong)vector * 4), out uint count));
        return count;
    }

    public void Dispose() => _board.Dispose();

    /// <summary>Ends the run with a code.</summary>
    public static void Exit(Assembler a, byte code)
    {
        Pause(a, code);
        a.hlt();
    }

    /// <summary>Ends the run with a code; the next goes on behind it.</summary>
    public static void Pause(Assembler a, byte code)
    {
        a.mov(al, code);
        a.@out(ExitPort, al);
    }

    /// <summary>Stores to a register of the local APIC.</summary>
    public static void Lapic(Assembler a, int offset, uint value) => Store(a, LocalApic + (uint)offset, value);

    /// <summary>Stores to a redirection entry of the I/O APIC, whose destination is APIC 0.</summary>
    public static void Redirect(Assembler a, int input, uint low)
    {
        Store(a, IoApic, (uint)(0x11 + input * 2));
        Store(a, IoApic + 0x10, 0);
        Store(a, IoApic, (uint)(0x10 + input * 2));
        Store(a, IoApic + 0x10, low);
    }

    public static void Store(Assembler a, uint address, uint value)
    {
        a.mov(ebx, address);
        a.mov(eax, value);
        a.mov(__dword_ptr[rbx], eax);
    }

    public static void Out(Assembler a, ushort port, byte value)
    {
        a.mov(dx, port);
        a.mov(al, value);
        a.@out(dx, al);
    }

    /// <summary>Notes a byte.</summary>
    public static void Note(Assembler a, byte value)
    {
        a.mov(__byte_ptr[rbp], value);
        a.inc(rbp);
    }

    /// <summary>Notes AL.</summary>
    public static void NoteAl(Assembler a)
    {
        a.mov(__byte_ptr[rbp], al);
        a.inc(rbp);
    }

    /// <summary>Waits with HLT until a vector has come so often. Interrupts are off before and after.</summary>
    public static void Await(Assembler a, byte vector, int count)
    {
        Label again = a.CreateLabel(), done = a.CreateLabel();
        a.Label(ref again);
        a.cmp(__dword_ptr[Counts + (ulong)vector * 4], count);
        a.jae(done);
        a.sti();
        a.hlt();
        a.cli();
        a.jmp(again);
        a.Label(ref done);
        a.nop();
    }

    /// <summary>Waits, without HLT, until a vector has come so often at any vCPU. Interrupts stay on or off.</summary>
    public static void Watch(Assembler a, byte vector, int count)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.pause();
        a.cmp(__dword_ptr[Counts + (ulong)vector * 4], count);
        a.jb(again);
    }

    /// <summary>Lets interrupts in for a moment: the port access, which nobody answers, makes sure that the guest is left and entered.</summary>
    public static void Open(Assembler a)
    {
        a.sti();
        a.nop();
        a.@out(0x80, al);
        a.nop();
        a.cli();
    }

    /// <summary>Initialises both PICs: vectors from 0x20, and these inputs masked.</summary>
    public static void StartPics(Assembler a, ushort masked)
    {
        foreach ((ushort port, byte value) in (ReadOnlySpan<(ushort, byte)>)
            [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0xa0, 0x11), (0xa1, 0x28), (0xa1, 2), (0xa1, 1), (0x21, (byte)masked), (0xa1, (byte)(masked >> 8))])
            Out(a, port, value);
    }

    private string Describe()
    {
        return string.Join("; ", Machine.Vcpus.Select(vcpu =>
        {
            X64State state = vcpu.GetState<X64State>();
            return $"vCPU {vcpu.Index} {state.Activity} at {state.Cs.Selector:x}:{state.Registers.Rip:x}, log {ReadLog(vcpu.Index)}";
        }));
    }

    private void WriteInterruptTable()
    {
        for (int vector = 0; vector < 256; vector++)
        {
            ulong handler = Handlers + (ulong)vector * HandlerSize;
            Machine.Memory.TryWrite(new Gpa(Table + (ulong)vector * 16), (handler & 0xffff) | 8 << 16 | 0x8e00ul << 32 | (handler >> 16) << 48);
            byte[] code = X64Guest.Assemble(64, a => Handle(a, (byte)vector), handler);
            Assert.True((ulong)code.Length <= HandlerSize);
            Machine.Memory.Write(new Gpa(handler), code);
        }
    }

    private static void Handle(Assembler a, byte vector)
    {
        if (vector < 32 && vector != 2)
        {
            // An exception is an end: its vector is the exit code.
            Exit(a, (byte)(0xe0 + vector % 0x20));
            return;
        }

        a.push(rax);
        a.push(rbx);
        Note(a, vector);
        a.@lock.inc(__dword_ptr[Counts + (ulong)vector * 4]);
        a.mov(al, 0x20);
        if (vector is >= 0x28 and < 0x30)
            a.@out(0xa0, al);
        if (vector is >= 0x20 and < 0x30)
            a.@out(0x20, al);
        if (vector is >= 0x40 and < 0xff)
            Lapic(a, 0xb0, 0);
        a.pop(rbx);
        a.pop(rax);
        a.iretq();
    }
}
