using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Tests.Boot;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

// Memory that is taken away and changed while the program stands, and hostile files.
public sealed partial class X64UserProgramTests
{
    private const ulong Page = 0x60_0000;

    [Fact]
    public void Unmap_UsedPage_FaultsAndComesBackZeroed()
    {
        using X64UserProgram program = Create(a =>
        {
            a.mov(rbx, Page);
            a.mov(__qword_ptr[rbx], 0x55);
            a.syscall();
            a.mov(rax, __qword_ptr[rbx]);
            a.syscall();
        });
        ulong free = program.FreeMemory;
        program.Map(new Gva(Page), 0x1000, X64UserAccess.Write);
        ulong mapped = program.FreeMemory;
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        X64Registers before = program.Registers;
        program.Unmap(new Gva(Page), 0x1000);
        Assert.Equal(before, program.Registers);
        Assert.InRange(program.FreeMemory, mapped + 1, free);
        Assert.False(program.TryRead(new Gva(Page), new byte[1]));
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 4, new Gva(Page)), Run(program));
        program.Map(new Gva(Page), 0x1000, X64UserAccess.Read);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(0ul, program.Registers.Rax);
    }

    [Fact]
    public void Protect_UsedPage_IsRefusedOrAllowedAsItSays()
    {
        using X64UserProgram program = Create(a =>
        {
            a.mov(rbx, Page);
            a.mov(__dword_ptr[rbx], 0x00c3_c0ff); // inc eax; ret
            a.syscall();
            a.mov(__byte_ptr[rbx + 8], 1);
            a.syscall();
            a.xor(eax, eax);
            a.call(rbx);
            a.syscall();
        });
        var page = new Gva(Page);
        program.Map(page, 0x1000, X64UserAccess.Write);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        program.Protect(page, 0x1000, X64UserAccess.Read);
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 7, new Gva(Page + 8)), Run(program));
        program.Protect(page, 0x1000, X64UserAccess.Write);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 0x15, page), Run(program));
        program.Protect(page, 0x1000, X64UserAccess.Execute);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
        Assert.Equal(1ul, program.Registers.Rax);
    }

    [Fact]
    public void Unmap_WhileTheProgramStandsInTheMiddle_LosesNothingElse()
    {
        using X64UserProgram program = Create(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, Page);
            a.movd(xmm5, ebx);
            a.Label(ref again);
            a.inc(rcx);
            a.mov(__qword_ptr[rbx], rcx);
            a.jmp(again);
        });
        program.Map(new Gva(Page), 0x1000, X64UserAccess.Write);
        Assert.Equal(X64UserExitReason.TimeExpired, program.Run(TimeSpan.FromMilliseconds(20), TestContext.Current.CancellationToken).Reason);
        X64Registers before = program.Registers;
        program.Unmap(new Gva(Page), 0x1000);
        program.GetState(out X64State state);
        Assert.Equal(before, program.Registers);
        Assert.Equal(3, state.Cs.Selector & 3);
        Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 6, new Gva(Page)), Run(program));
        Assert.InRange(program.Registers.Rcx, before.Rcx, before.Rcx + 1);
        program.GetState(out state);
        Assert.Equal((uint)Page, BitConverter.ToUInt32(state.Xsave[240..244]));
    }

    [Fact]
    public void Unmap_OverAndOver_UsesNoMoreMemory()
    {
        // From the middle of one table over the whole next one into a third.
        const ulong start = 0x4010_0000, size = 0x30_0000;
        using X64UserProgram program = Create(a => a.syscall(), 8 << 20);
        program.Map(new Gva(start), size, X64UserAccess.Write);
        ulong left = program.FreeMemory;
        for (int i = 0; i < 20; i++)
        {
            program.Unmap(new Gva(start), size);
            Assert.Equal(left + size, program.FreeMemory);
            program.Map(new Gva(start), size, X64UserAccess.Write);
        }

        Assert.Equal(left, program.FreeMemory);
        byte[] word = new byte[8];
        Assert.True(program.TryRead(new Gva(start + size - 8), word));
        Assert.Equal(new byte[8], word);
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
    }

    [Fact]
    public void UnmapAndProtect_OfWhatIsNotThere_AreRefusedAndChangeNothing()
    {
        using X64UserProgram program = Create(a => a.syscall());
        foreach ((ulong address, ulong size) in new[] { (Code, 0x2000ul), (Code + 1, 0x1000ul), (Code, 0ul), (0ul, 0x1000ul), (0xffff_ff80_0000_4000ul, 0x1000ul) })
        {
            Assert.Throws<ArgumentException>(() => program.Unmap(new Gva(address), size));
            Assert.Throws<ArgumentException>(() => program.Protect(new Gva(address), size, X64UserAccess.Write));
        }

        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
    }

    [Fact]
    public void Run_StackOverflow_FaultsBelowTheStack() => Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, 6, new Gva(Stack - 8)), RunOnce(a =>
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.call(again);
    }));

    [Fact]
    public void Run_AccessOutsideTheProgramsHalf_IsATypedFault()
    {
        foreach (ulong address in (ReadOnlySpan<ulong>)[0x8000_0000_0000, 0xdead_beef_dead_beef])
        {
            Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 13), RunOnce(a =>
            {
                a.mov(rbx, address);
                a.mov(rax, __qword_ptr[rbx]);
            }));
        }

        // All of memory as the supervisor sees it, the stub that edits entries, the supervisor's tables.
        foreach (ulong address in (ReadOnlySpan<ulong>)[0xffff_ff80_4000_0000, 0xffff_ff80_0000_8000, 0xffff_ff80_0000_1000])
        {
            foreach (bool write in (ReadOnlySpan<bool>)[false, true])
            {
                X64UserExit exit = RunOnce(a =>
                {
                    a.mov(rbx, address);
                    if (write)
                        a.mov(__qword_ptr[rbx], rax);
                    else
                        a.mov(rax, __qword_ptr[rbx]);
                });
                Assert.Equal(new X64UserExit(X64UserExitReason.Fault, 14, write ? 7u : 5, new Gva(address)), exit);
            }

            X64UserExit jump = RunOnce(a =>
            {
                a.mov(rbx, address);
                a.jmp(rbx);
            });
            Assert.Equal((X64UserExitReason.Fault, 14, new Gva(address)), (jump.Reason, jump.Vector, jump.Address));
        }
    }

    [Fact]
    public void Load_HostileFiles_AreRefused()
    {
        Require.Kvm();
        byte[] good = ElfSample.Create(ElfMachine.X64, new Gpa(0x10_0000));
        // The sample's segments lie in the upper half.
        Refused<InvalidImageException>(good);
        Patch(16, 0x40_0000, 0x40_1000);
        using (var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = 4 << 20 }))
            program.Load(ElfImage.Parse(good, ElfMachine.X64), 0x1000);

        Patch(40, 1ul << 62, 8); // longer than everything
        Refused<InvalidImageException>(good);
        Patch(40, 1ul << 46, 8); // longer than memory
        Refused<VirtKitException>(good);
        Patch(40, 64, 8);
        Patch(16, 0x40_0000, 0x40_0800); // one page in two segments
        Refused<InvalidImageException>(good);
        Patch(16, 0, 0x40_1000); // the page that stays free for null pointers
        Refused<InvalidImageException>(good);
        Patch(16, 0x7fff_ffff_f000, 0x40_1000);
        Refused<InvalidImageException>(good);
        for (int length = 0; length < 0x218; length += 7)
            Assert.Throws<InvalidImageException>(() => ElfImage.Parse(good.AsMemory(0, length), ElfMachine.X64));

        // The same field of the two segments that are loaded; the entry stays in the first one.
        void Patch(int field, ulong first, ulong second)
        {
            if (field == 16)
                BitConverter.TryWriteBytes(good.AsSpan(24), first + 4);
            BitConverter.TryWriteBytes(good.AsSpan(ElfSample.ProgramHeaders + 56 + field), first);
            BitConverter.TryWriteBytes(good.AsSpan(ElfSample.ProgramHeaders + 112 + field), second);
        }

        static void Refused<T>(byte[] file) where T : Exception
        {
            using var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = 4 << 20 });
            Assert.Throws<T>(() => program.Load(ElfImage.Parse(file, ElfMachine.X64), 0x1000));
        }
    }
}
