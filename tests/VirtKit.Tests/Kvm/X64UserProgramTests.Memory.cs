using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Samples.BootLinux;
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

    /// <summary>A refused call names its argument and has changed nothing.</summary>
    [Fact]
    public void Arguments_ThatCannotBe_AreRefusedAndChangeNothing()
    {
        using X64UserProgram program = Create(a => a.syscall());
        ulong left = program.FreeMemory;
        foreach (Action call in (Action[])
        [
            () => program.Map(new Gva(Code - 0x1000), 0x3000, X64UserAccess.Write), // the page in the middle is taken
            () => program.Map(new Gva(0x10_0001), 0x1000, X64UserAccess.Read),
            () => program.Map(new Gva(0x10_0000), 0x1001, X64UserAccess.Read),
            () => program.Map(new Gva(0x10_0000), unchecked((ulong)-4096L), X64UserAccess.Read),
            () => program.Map(new Gva(ulong.MaxValue & ~0xffful), 0x2000, X64UserAccess.Read),
            () => program.Map(new Gva(0x10_0000), 0x1000, (X64UserAccess)4),
            () => program.Protect(new Gva(Code), 0x1000, (X64UserAccess)(-1)),
            () => program.Unmap(new Gva(Code), unchecked((ulong)-4096L)),
            () => program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64), 0),
            () => program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64), 0x1001),
            () => program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64), 1ul << 47),
            () => program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64), ulong.MaxValue & ~0xffful),
            () => program.SetSegmentBases(new Gva(1ul << 63), default),
            () => program.SetSegmentBases(default, new Gva(0x8000_0000_0000)),
            () => program.Run(TimeSpan.Zero),
            () => program.Run(TimeSpan.FromMilliseconds(-2)),
            () => program.Run(TimeSpan.MaxValue),
            () => _ = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = 0x1_0001 }),
            () => _ = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = ulong.MaxValue & ~0xffful }),
        ])
        {
            ArgumentException error = Assert.ThrowsAny<ArgumentException>(call);
            Assert.NotNull(error.ParamName);
            Assert.Equal(left, program.FreeMemory);
        }

        Assert.Throws<ArgumentNullException>(() => program.Load(null!));
        Assert.Throws<ArgumentNullException>(() => new X64UserProgram(null!));
        Assert.False(program.TryRead(new Gva(ulong.MaxValue - 3), new byte[8]));
        Assert.False(program.TryWrite(new Gva(0x7fff_ffff_ffff), new byte[8]));
        Assert.Equal(X64UserExitReason.SystemCall, Run(program).Reason);
    }

    [Fact]
    public async Task Program_SecondThread_IsRefusedAndTheFirstKeepsItsTime()
    {
        using X64UserProgram program = Create(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, (long)Stack);
            a.Label(ref again);
            a.inc(__qword_ptr[rbx]);
            a.jmp(again);
        });
        using var stop = new CancellationTokenSource();
        Task<X64UserExit> run = Task.Run(() => program.Run(Timeout.InfiniteTimeSpan, stop.Token));
        byte[] count = new byte[8];
        while (BitConverter.ToUInt64(count) == 0)
            Assert.True(program.TryRead(new Gva(Stack), count));
        foreach (Action call in (Action[])
        [
            () => program.Run(TimeSpan.FromMilliseconds(1)),
            () => program.Map(new Gva(0x10_0000), 0x1000, X64UserAccess.Write),
            () => program.Unmap(new Gva(Code), 0x1000),
            () => program.Protect(new Gva(Code), 0x1000, X64UserAccess.Write),
            () => program.SetSegmentBases(default, default),
            () => program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64)),
            () => program.Registers = default,
            () => program.GetState(out _),
        ])
            Assert.Throws<InvalidOperationException>(call);
        Assert.False(run.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(X64UserExitReason.Cancelled, (await run.WaitAsync(X64Guest.HangLimit, TestContext.Current.CancellationToken)).Reason);
        Assert.Equal(X64UserExitReason.TimeExpired, program.Run(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken).Reason);
    }

    /// <summary>From another thread, while it runs; and everything behind it.</summary>
    [Fact]
    public async Task Dispose_WhileTheProgramRuns_EndsItAndRefusesTheRest()
    {
        for (int i = 0; i < 10; i++)
        {
            X64UserProgram program = Create(a =>
            {
                Label again = a.CreateLabel();
                a.mov(rbx, (long)Stack);
                a.Label(ref again);
                a.inc(__qword_ptr[rbx]);
                a.jmp(again);
            });
            Task<X64UserExit> run = Task.Run(() => program.Run(i % 2 == 0 ? Timeout.InfiniteTimeSpan : X64Guest.HangLimit));
            byte[] count = new byte[8];
            while (BitConverter.ToUInt64(count) == 0)
                Assert.True(program.TryRead(new Gva(Stack), count));
            program.Dispose();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => run.WaitAsync(X64Guest.HangLimit, TestContext.Current.CancellationToken));
            program.Dispose();
            foreach (Action call in (Action[])
            [
                () => program.Run(Timeout.InfiniteTimeSpan),
                () => program.Run(TimeSpan.FromMilliseconds(1)),
                () => program.Map(new Gva(0x10_0000), 0x1000, X64UserAccess.Write),
                () => program.Unmap(new Gva(Code), 0x1000),
                () => program.Protect(new Gva(Code), 0x1000, X64UserAccess.Write),
                () => program.TryRead(new Gva(Code), new byte[1]),
                () => program.TryWrite(new Gva(Code), new byte[1]),
                () => program.SetSegmentBases(default, default),
                () => program.GetState(out _),
            ])
                Assert.Throws<ObjectDisposedException>(call);
        }
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
