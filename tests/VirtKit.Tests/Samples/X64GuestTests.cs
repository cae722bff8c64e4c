using System.Diagnostics;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Samples.BootLinux;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Samples;

/// <summary><c>BootLinux --guest x86-64</c>.</summary>
/// <remarks>Where KVM emulates ring 0, a whole kernel takes minutes: these tests then end once it has come far into its own code, and follow it further only with
/// <c>VIRTKIT_SOAK_SECONDS</c>.</remarks>
public sealed class X64GuestTests
{
    private static readonly TimeSpan Share = TimeSpan.FromSeconds(15), HangLimit = TimeSpan.FromMinutes(5);

    [Fact]
    public void Debian_FirstInstructionThatKvmCannotEmulate_IsATypedExitThatStateResumes()
    {
        byte[] kernel = DebianKernel();
        var console = new MemoryConsole();
        using X64MicroVm board = CreateBoard(console);
        board.BootLinux(kernel);
        VcpuExit exit = Follow(board, console, until: null);
        if (exit.Reason == ExitReason.BudgetExhausted)
            return;
        if (exit.Reason == ExitReason.Reset)
        {
            Assert.Contains("Kernel panic - not syncing: VFS", console.Output, StringComparison.Ordinal);
            return;
        }

        // Where KVM emulates ring 0: the self-test of INT3, behind the set-up of memory, interrupts and the clock.
        Assert.True(exit.Reason == ExitReason.Unsupported, $"{exit}\n{console.Output}");
        Assert.Contains("x86/fpu:", console.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("SMP alternatives", console.Output, StringComparison.Ordinal);
        X64State state = board.Machine.Vcpus[0].GetState<X64State>();
        Assert.StartsWith($"KVM cannot emulate the instruction at 0x{state.Registers.Rip:x}: cc", exit.Detail, StringComparison.Ordinal);
        Assert.True(state.Registers.Rip >> 40 == 0xff_ffff && state.Cs.Long && state.Cs.Dpl == 0, $"RIP {state.Registers.Rip:x}");

        // #BP injected by state: the kernel's handler finds what it expects, and the kernel goes on to the next.
        Assert.Equal("int3", InstructionByHand.TryFinish(board.Machine, board.Machine.Vcpus[0]));
        exit = Follow(board, console, until: null);
        Assert.True(exit.Reason == ExitReason.Unsupported, $"{exit}\n{console.Output}");
        Assert.Contains("Freeing SMP alternatives memory", console.Output, StringComparison.Ordinal);
        Assert.Contains("smp: Brought up 1 node, 1 CPU", console.Output, StringComparison.Ordinal);
        Assert.Equal("fwait", InstructionByHand.TryFinish(board.Machine, board.Machine.Vcpus[0]));
        exit = Follow(board, console, "devtmpfs: initialized");
        Assert.True(console.Output.Contains("devtmpfs: initialized", StringComparison.Ordinal), $"{exit}\n{console.Output}");
    }

    [Fact]
    public void Debian_VmlinuxStartedByPvh_FindsItsHypervisor()
    {
        ReadOnlyMemory<byte> vmlinux = BzImage.Parse(DebianKernel()).ExtractKernel();
        var console = new MemoryConsole();
        using X64MicroVm board = CreateBoard(console);
        board.BootPvh(vmlinux);
        VcpuExit exit = Follow(board, console, "Hypervisor detected: KVM");
        Assert.True(exit.Reason == ExitReason.BudgetExhausted, $"{exit}\n{console.Output}");
        if (!console.Output.Contains("Hypervisor detected", StringComparison.Ordinal))
            return;
        foreach (string line in (string[])["Linux version 6.", "Command line: console=ttyS0", "BIOS-e820: [mem 0x0000000000100000-0x0000000005ffffff] usable", "Hypervisor detected: KVM"])
            Assert.Contains(line, console.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void ExitPort_Program_AsksForThePortAndWritesWhatItRead()
    {
        Require.Kvm();
        using var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine(), MemorySize = 4 << 20 });
        program.Load(ElfImage.Parse(ExitPortProgram.Build(), ElfMachine.X64), 0x1000);
        Assert.Equal((173ul, 0xf4ul, 1ul, 1ul), SystemCall(0));
        (ulong number, ulong descriptor, ulong buffer, ulong length) = SystemCall(0);
        Assert.Equal((0ul, 0ul, 1ul), (number, descriptor, length));
        Assert.True(program.TryWrite(new Gva(buffer), [77]));
        X64Registers registers = program.Registers;
        registers.Rax = 1;
        program.Registers = registers;
        Assert.Equal(X64UserExitReason.PrivilegedInstruction, Run().Reason);
        byte[] code = new byte[2];
        Assert.True(program.TryRead(new Gva(program.Registers.Rip), code));
        Assert.Equal([0xe6, 0xf4], code);
        Assert.Equal(77ul, program.Registers.Rax & 0xff);

        X64UserExit Run() => program.Run(HangLimit, TestContext.Current.CancellationToken);

        (ulong Number, ulong First, ulong Second, ulong Third) SystemCall(ulong answer)
        {
            Assert.Equal(X64UserExitReason.SystemCall, Run().Reason);
            X64Registers call = program.Registers;
            program.Registers = call with { Rax = answer };
            return (call.Rax, call.Rdi, call.Rsi, call.Rdx);
        }
    }

    [Fact]
    public void CpuName_EveryName_IsAPolicyThatTheHostCarriesOutOrRefusesWithTheReason()
    {
        Require.Kvm();
        IReadOnlyList<CpuidEntry> host = new KvmEngine().ReadHostCpuid();
        foreach (string name in CpuName.All)
        {
            try
            {
                CpuidTable table = CpuName.Create(name).Build(host, 0, 1);
                if (name == CpuName.Nested)
                    Assert.All((string[])["cx16", "xsave", "avx", "popcnt", "sse4_2"], feature => Assert.False(table.Has(feature), feature));
            }
            catch (VirtKitException e)
            {
                Assert.Contains("is not offered by the host", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Engine_KvmIsAbsent_SaysWhatIsMissing()
    {
        Assert.False(GuestBoard.IsSupported(new BootOptions { Guest = BootOptions.X64Guest, KvmDevice = "/dev/kvm-is-not-here" }, out string? reason));
        Assert.StartsWith("/dev/kvm-is-not-here is missing", reason, StringComparison.Ordinal);
        Assert.True(GuestBoard.IsSupported(new BootOptions(), out _));
    }

    [Theory]
    [InlineData("does not run x86-64 guests", "--guest", "x86-64", "--engine", "translator")]
    [InlineData("does not run riscv64 guests", "--engine", "kvm")]
    [InlineData("--cpu is for --guest x86-64", "--cpu", "host")]
    public void Options_ThatDoNotGoTogether_AreRefused(string message, params string[] arguments)
    {
        (int code, _, string errors) = SampleProgram.Run("BootLinux", ["--no-fetch", .. arguments]);
        Assert.Equal(1, code);
        Assert.Contains(message, errors, StringComparison.Ordinal);
    }

    /// <summary>Runs the kernel until it has said something or leaves for the host, but, where no more time is asked for, only until it has been seen in many pages of its
    /// own code and has had its share of time.</summary>
    /// <returns>Why it left; <see cref="ExitReason.BudgetExhausted"/> where it did not.</returns>
    private static VcpuExit Follow(X64MicroVm board, MemoryConsole console, string? until)
    {
        const ulong slice = 100_000_000, kernelText = 0xffff_ffff_8000_0000;
        const int pages = 10;
        Vcpu vcpu = board.Machine.Vcpus[0];
        var seen = new HashSet<ulong>();
        var time = Stopwatch.StartNew();
        while (true)
        {
            VcpuExit exit = vcpu.Run(slice, TestContext.Current.CancellationToken);
            if (exit.Reason != ExitReason.BudgetExhausted || (until is not null && console.Output.Contains(until, StringComparison.Ordinal)))
                return exit;
            ulong rip = vcpu.GetState<X64Registers>().Rip;
            if (rip >= kernelText)
                seen.Add(rip >> 12);
            if (Soak.Time is { } more ? time.Elapsed > more : seen.Count >= pages && time.Elapsed > Share)
                return exit;
            Assert.True(time.Elapsed < (Soak.Time ?? HangLimit) + Share, $"The kernel was seen in {seen.Count} pages of its own, last at 0x{rip:x}.\n{console.Output}");
        }
    }

    private static byte[] DebianKernel()
    {
        Require.Kvm();
        return File.ReadAllBytes(Require.File(DebianGuest.X64.FindCached(Guest.CacheFolder())?.Kernel ?? "Debian's x86-64 kernel", "samples/BootLinux --guest x86-64 --fetch-only fetches it"));
    }

    private static X64MicroVm CreateBoard(MemoryConsole console) => new(new X64MicroVmOptions
    {
        Machine = new MachineOptions
        {
            Architecture = new X64Architecture { Cpuid = CpuName.Create(CpuName.Default) },
            Engine = new KvmEngine(new KvmOptions { InterruptController = KvmInterruptController.Kernel }),
            Scheduling = VcpuScheduling.Threads,
        },
        MemorySize = 96 << 20,
        Console = console,
        // A kernel that finds no root file system ends by a reset.
        CommandLine = $"console=ttyS0 earlyprintk=serial,ttyS0 panic=-1 init_on_alloc=0 {(NestedHost.IsLikely ? NestedHost.KernelOptions : "")}".TrimEnd(),
    });
}
