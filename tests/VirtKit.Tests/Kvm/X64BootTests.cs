using System.Buffers.Binary;
using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Tests.Boot;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>The board's boot protocols on KVM, with kernels of a few instructions that check what they are handed and say so on the serial line.</summary>
public sealed class X64BootTests
{
    private const uint Load = 0x10_0000;
    private const ulong MemorySize = 32 << 20, UsableMemory = MemorySize - 0x10_0000 + 0x9_fc00;

    [Theory, InlineData(KvmInterruptController.Kernel), InlineData(KvmInterruptController.External)]
    public void BootPvh_ElfWithANote_FindsAllThatItIsHanded(KvmInterruptController controller)
    {
        var console = new MemoryConsole();
        using X64MicroVm board = Create(console, controller);
        board.LoadInitrd("initrd"u8);
        board.BootPvh(Elf(X64Guest.Assemble(32, a =>
        {
            Label fail = a.CreateLabel(), range = a.CreateLabel(), other = a.CreateLabel();
            a.cmp(__dword_ptr[ebx], 0x336e_c578);
            a.jne(fail);
            a.mov(eax, cr0);
            a.test(eax, unchecked((int)0x8000_0000));
            a.jne(fail);
            a.cmp(__dword_ptr[ebx + 4], 1); // version
            a.jb(fail);
            a.cmp(__dword_ptr[ebx + 12], 1); // modules
            a.jne(fail);
            a.mov(dx, 0x3f8);
            Print(a, __dword_ptr[ebx + 24], null);
            Print(a, __dword_ptr[ebx + 32], 8);
            a.mov(esi, __dword_ptr[ebx + 16]);
            Print(a, __dword_ptr[esi], 6);
            // The usable memory of the map, in bytes.
            a.mov(esi, __dword_ptr[ebx + 40]);
            a.mov(ecx, __dword_ptr[ebx + 48]);
            a.xor(edi, edi);
            a.Label(ref range);
            a.cmp(__dword_ptr[esi + 16], 1);
            a.jne(other);
            a.add(edi, __dword_ptr[esi + 8]);
            a.Label(ref other);
            a.add(esi, 24);
            a.dec(ecx);
            a.jne(range);
            a.cmp(edi, (int)UsableMemory);
            a.jne(fail);
            End(a, ref fail);
        }, Load), Load, withNote: true));
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 42), Run(board));
        Assert.Equal("some wordsRSD PTR initrd", console.Output);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void BootLinux_ElfOrBzImageThatHoldsIt_EntersLongModeWithTheZeroPage(bool wrapped)
    {
        var console = new MemoryConsole();
        using X64MicroVm board = Create(console, KvmInterruptController.Kernel);
        board.LoadInitrd("initrd"u8);
        byte[] elf = Elf(X64Guest.Assemble(64, a =>
        {
            Label fail = a.CreateLabel(), range = a.CreateLabel(), other = a.CreateLabel();
            a.mov(rbx, rsi);
            a.cmp(__dword_ptr[rbx + 0x202], 0x5372_6448); // HdrS
            a.jne(fail);
            a.mov(ecx, 0xc000_0080);
            a.rdmsr();
            a.test(eax, 0x400); // EFER.LMA
            a.je(fail);
            a.mov(dx, 0x3f8);
            Print(a, __dword_ptr[rbx + 0x228], null);
            Print(a, __dword_ptr[rbx + 0x70], 8);
            Print(a, __dword_ptr[rbx + 0x218], 6);
            a.cmp(__dword_ptr[rbx + 0x21c], 6);
            a.jne(fail);
            a.movzx(ecx, __byte_ptr[rbx + 0x1e8]);
            a.lea(rsi, __qword_ptr[rbx + 0x2d0]);
            a.xor(edi, edi);
            a.Label(ref range);
            a.cmp(__dword_ptr[rsi + 16], 1);
            a.jne(other);
            a.add(rdi, __qword_ptr[rsi + 8]);
            a.Label(ref other);
            a.add(rsi, 20);
            a.dec(ecx);
            a.jne(range);
            a.cmp(rdi, (int)UsableMemory);
            a.jne(fail);
            End(a, ref fail);
        }, Load), Load, withNote: false);
        board.BootLinux(wrapped ? BzImageSample.Create(elf, preferred: Load) : elf);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 42), Run(board));
        Assert.Equal("some wordsRSD PTR initrd", console.Output);
    }

    [Fact]
    public void BootLinux_PayloadThatOnlyTheGuestCanDecompress_EntersTheKernelsOwnCode()
    {
        var console = new MemoryConsole();
        using X64MicroVm board = Create(console, KvmInterruptController.Kernel);
        byte[] image = BzImageSample.Create([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, 0, 0], preferred: 0x20_0000);
        // The 64-bit entry is at 0x200 of the part behind the setup sectors.
        X64Guest.Assemble(64, a =>
        {
            a.mov(eax, __dword_ptr[rsi + 0x202]);
            a.shr(eax, 24); // the S of HdrS
            a.@out(0xf4, al);
            a.hlt();
        }, 0x20_0200).CopyTo(image.AsSpan((3 * 512) + 0x200));
        board.BootLinux(image);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 'S'), Run(board));
    }

    [Fact]
    public void BootPvh_AfterAReset_StartsAgain()
    {
        var console = new MemoryConsole();
        using X64MicroVm board = Create(console, KvmInterruptController.Kernel);
        byte[] kernel = Elf(X64Guest.Assemble(32, a =>
        {
            a.mov(dx, 0x3f8);
            a.mov(al, (int)'x');
            a.@out(dx, al);
            a.mov(dx, 0xcf9);
            a.mov(al, 6);
            a.@out(dx, al);
            a.hlt();
        }, Load), Load, withNote: true);
        for (int i = 0; i < 3; i++)
        {
            board.BootPvh(kernel);
            Assert.Equal(ExitReason.Reset, Run(board).Reason);
            board.Machine.Reset();
        }

        Assert.Equal("xxx", console.Output);
    }

    /// <summary>The guest found everything, or comes to <paramref name="fail"/>.</summary>
    private static void End(Assembler a, ref Label fail)
    {
        a.mov(eax, 42);
        a.@out(0xf4, al);
        a.Label(ref fail);
        a.mov(eax, 1);
        a.@out(0xf4, al);
        a.hlt();
    }

    private static X64MicroVm Create(MemoryConsole console, KvmInterruptController controller)
    {
        Require.Kvm();
        return new X64MicroVm(new X64MicroVmOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new X64Architecture(),
                Engine = new KvmEngine(new KvmOptions { InterruptController = controller }),
                Scheduling = VcpuScheduling.Threads,
            },
            MemorySize = MemorySize,
            Console = console,
            CommandLine = "some words",
        });
    }

    private static VcpuExit Run(X64MicroVm board)
    {
        using var limit = new CancellationTokenSource(X64Guest.HangLimit);
        return board.Machine.Run(limit.Token);
    }

    /// <summary>Prints what a pointer leads to: a number of bytes, or up to a zero.</summary>
    private static void Print(Assembler a, AssemblerMemoryOperand pointer, int? length)
    {
        Label next = a.CreateLabel(), end = a.CreateLabel();
        bool wide = a.Bitness == 64;
        a.mov(esi, pointer);
        a.mov(ecx, length ?? int.MaxValue);
        a.Label(ref next);
        a.mov(al, wide ? __byte_ptr[rsi] : __byte_ptr[esi]);
        a.test(al, al);
        a.je(end);
        a.@out(dx, al);
        a.inc(esi);
        a.dec(ecx);
        a.jne(next);
        a.Label(ref end);
        a.nop();
    }

    /// <summary>An ELF64 file of one segment, and where it is wanted the note XEN_ELFNOTE_PHYS32_ENTRY.</summary>
    internal static byte[] Elf(byte[] code, uint address, bool withNote)
    {
        const int headers = 64, note = headers + (2 * 56), content = 0x100;
        byte[] file = new byte[content + code.Length];
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(file);
        Put(16, 2, 2);
        Put(18, (ulong)ElfMachine.X64, 2);
        Put(20, 1, 4);
        Put(24, address, 8);
        Put(32, headers, 8);
        Put(52, 64, 2);
        Put(54, 56, 2);
        Put(56, withNote ? 2u : 1, 2);
        Segment(headers, 1, content, address, (ulong)code.Length);
        if (withNote)
        {
            Segment(headers + 56, 4, note, 0, 20);
            Put(note, 4, 4);
            Put(note + 4, 4, 4);
            Put(note + 8, 18, 4);
            "Xen\0"u8.CopyTo(file.AsSpan(note + 12));
            Put(note + 16, address, 4);
        }

        code.CopyTo(file.AsSpan(content));
        return file;

        void Segment(int at, uint type, ulong offset, ulong place, ulong size)
        {
            Put(at, type, 4);
            Put(at + 4, 7, 4);
            foreach ((int field, ulong value) in new[] { (8, offset), (16, place), (24, place), (32, size), (40, size), (48, 4ul) })
                Put(at + field, value, 8);
        }

        void Put(int at, ulong value, int size)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
            bytes[..size].CopyTo(file.AsSpan(at));
        }
    }
}
