using VirtKit.Accel.Kvm;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>CPUID and MSR policies as the guest sees them.</summary>
public sealed class KvmPolicyTests
{
    /// <summary>How a guest on the board ends that gets #GP.</summary>
    private const ulong GeneralProtection = 0xe0 + 13;

    [Theory, InlineData("fixed"), InlineData("host"), InlineData("masked"), InlineData("kvm")]
    public void Cpuid_AsTheGuestExecutesIt_IsThePolicysTable(string name)
    {
        CpuidPolicy policy = name switch
        {
            "fixed" => CpuidPolicy.Fixed,
            "masked" => CpuidPolicy.Host.Hide("cx16").WithHypervisor(CpuidHypervisor.VirtKit).Answer(0x4000_0001, null, new CpuidResult(1, 2, 3, 4)),
            "kvm" => CpuidPolicy.Model(CpuidModel.X64V1).WithHypervisor(CpuidHypervisor.Kvm(KvmParavirtualFeatures.Default)),
            _ => CpuidPolicy.Host,
        };
        using var guest = new X64Guest(new X64Architecture { Cpuid = policy, HypercallPort = 0xe8 });
        CpuidTable wanted = policy.Build(new KvmEngine().ReadHostCpuid(), 0, 1), table = ((KvmPartition)guest.Machine.Partition).Cpuid[0];
        guest.Load(64, a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.Label(ref again);
            a.@out(0xe8, al);
            a.mov(eax, r8d);
            a.mov(ecx, r9d);
            a.cpuid();
            a.jmp(again);
        });
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        foreach ((uint leaf, uint subleaf) in (ReadOnlySpan<(uint, uint)>)[(0, 0), (1, 0), (7, 0), (0xb, 0), (0xb, 1), (0x8000_0001, 0), (0x8000_0002, 0), (0x8000_0008, 0), (0x4000_0000, 0), (0x4000_0001, 0)])
        {
            X64Registers registers = guest.Registers;
            (registers.R8, registers.R9) = (leaf, subleaf);
            guest.Registers = registers;
            Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
            registers = guest.Registers;
            var seen = new CpuidResult((uint)registers.Rax, (uint)registers.Rbx, (uint)registers.Rcx, (uint)registers.Rdx);
            if (leaf == 1)
                seen = seen with { Ecx = (seen.Ecx & ~(1u << 27)) | (table.Lookup(1, 0).Ecx & (1u << 27)) }; // OSXSAVE follows CR4
            Assert.True(table.Lookup(leaf, subleaf) == seen, $"leaf 0x{leaf:x}.{subleaf}: {table.Lookup(leaf, subleaf)} in the table, {seen} in the guest");
            // A nested kernel shows what it cannot hide; where it does, the audit says so.
            if (wanted.Lookup(leaf, subleaf) != table.Lookup(leaf, subleaf))
                Assert.Contains(table.Audit, l => l.Leaf == leaf && l.Subleaf == subleaf && l.Reason.Contains("in spite of", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Msr_Emulated_ReachesTheHandlerWithItsValue()
    {
        var handler = new Scratch();
        MsrPolicy policy = MsrPolicy.Default.Emulate(0x1234).EmulateUnknown();
        using var guest = new X64Guest(new X64Architecture { Msrs = policy });
        X64Platform.Of(guest.Machine).MsrHandler = handler;
        guest.Load(64, a =>
        {
            a.mov(ecx, 0x1234);
            a.mov(eax, 0x55);
            a.mov(edx, 0x66);
            a.wrmsr();
            a.xor(eax, eax);
            a.rdmsr();
            a.mov(rbx, rax);
            a.mov(ecx, 0x4321);
            a.rdmsr();
            a.mov(rsi, rax);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal((0x1234ul, 0x4321ul), (guest.Registers.Rbx, guest.Registers.Rsi));
        Assert.Equal([(0x1234u, 0x66_0000_0055ul)], handler.Writes);
        Assert.Equal([0x1234u, 0x4321u], handler.Reads);
    }

    /// <summary>KERNEL_GS_BASE, which every engine knows; 0x4321, which none does; and one that the handler does not take.</summary>
    [Theory]
    [InlineData("default", 0xc000_0102, null)]
    [InlineData("default", 0x4321, GeneralProtection)]
    [InlineData("refused", 0xc000_0102, GeneralProtection)]
    [InlineData("refused", 0x4321, GeneralProtection)]
    [InlineData("allowed again", 0xc000_0102, null)]
    [InlineData("emulated", 0xc000_0102, null)]
    [InlineData("emulated", Scratch.Absent, GeneralProtection)]
    [InlineData("unknown emulated", 0x4321, null)]
    [InlineData("unknown emulated", Scratch.Absent, GeneralProtection)]
    public void Msr_EachAction_IsWhatTheGuestGets(string name, uint msr, ulong? exception)
    {
        var handler = new Scratch();
        MsrPolicy refused = MsrPolicy.Default.Refuse(0xc000_0100, 3);
        MsrPolicy policy = name switch
        {
            "refused" => refused,
            "allowed again" => refused.Allow(0xc000_0102),
            "emulated" => MsrPolicy.Default.Emulate(0xc000_0102).Emulate(Scratch.Absent),
            "unknown emulated" => MsrPolicy.Default.EmulateUnknown(),
            _ => MsrPolicy.Default,
        };
        foreach (bool write in new[] { false, true })
        {
            using var guest = new X64BoardGuest(KvmInterruptController.External, architecture: new X64Architecture { Msrs = policy });
            X64Platform.Of(guest.Machine).MsrHandler = handler;
            guest.Load(a =>
            {
                a.mov(ecx, msr);
                a.xor(eax, eax);
                a.xor(edx, edx);
                if (write)
                    a.wrmsr();
                else
                    a.rdmsr();
                X64BoardGuest.Exit(a, 1);
            });
            Assert.Equal(exception ?? 1, guest.Run());
        }

        Assert.Equal(name.Contains("emulated", StringComparison.Ordinal), handler.Reads.Count == 1 && handler.Writes.Count == 1);
    }

    [Fact]
    public void Msr_PolicyThatKvmCannotCarryOut_IsRefusedWithTheReason()
    {
        Require.Kvm();
        MsrPolicy scattered = Enumerable.Range(0, 17).Aggregate(MsrPolicy.Default, (policy, i) => policy.Refuse((uint)i << 16));
        Assert.Contains("needs 17 ranges; KVM filters at most 16", Refuse(scattered), StringComparison.Ordinal);
        Assert.Contains("names 0x80b: KVM does not filter the x2APIC's MSRs", Refuse(MsrPolicy.Default.Refuse(0x80b)), StringComparison.Ordinal);

        static string Refuse(MsrPolicy policy) => Assert.Throws<VirtKitException>(() => new X64Guest(new X64Architecture { Msrs = policy })).Message;
    }

    [Theory, InlineData(1), InlineData(2), InlineData(4)]
    public void Topology_OfEachVcpu_IsAsTheGuestReadsIt(int count)
    {
        using var guest = new X64Guest(new X64Architecture { Cpuid = CpuidPolicy.Fixed }, vcpuCount: count);
        guest.Load(64, a =>
        {
            a.mov(eax, 1);
            a.cpuid();
            a.mov(r8d, ebx);
            a.mov(eax, 0xb);
            a.xor(ecx, ecx);
            a.cpuid();
            a.mov(r9d, edx);
            a.mov(eax, 0xb);
            a.mov(ecx, 1);
            a.cpuid();
            a.mov(r10d, eax);
            a.mov(r11d, ebx);
            a.mov(r12d, edx);
            a.hlt();
        });
        X64State start = guest.Vcpu.GetState<X64State>();
        foreach (Vcpu vcpu in guest.Machine.Vcpus)
        {
            vcpu.SetState(in start);
            Assert.Equal(ExitReason.Halted, vcpu.Run(cancellationToken: TestContext.Current.CancellationToken).Reason);
            X64Registers seen = vcpu.GetState<X64Registers>();
            uint id = (uint)vcpu.Index;
            Assert.Equal((id, (uint)count), ((uint)seen.R8 >> 24, (uint)seen.R8 >> 16 & 0xff));
            Assert.Equal((id, id, (ulong)count, (ulong)count), (seen.R9, seen.R12, seen.R11, 1ul << (int)seen.R10)); // counts here are powers of two
        }
    }

    [Fact]
    public void Msr_HandlerThatThrows_IsAnInternalError()
    {
        using var guest = new X64Guest(new X64Architecture { Msrs = MsrPolicy.Default.Emulate(0x1234) });
        X64Platform.Of(guest.Machine).MsrHandler = new Broken();
        guest.Load(64, a =>
        {
            a.mov(ecx, 0x1234);
            a.rdmsr();
            a.hlt();
        });
        VcpuExit exit = guest.Run();
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("broken", exit.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Supports_NoDeviceNoPermissionOrNotKvm_SaysWhy()
    {
        Assert.False(new KvmEngine(new KvmOptions { Device = "/dev/kvm-is-not-here" }).Supports(new X64Architecture(), out string? reason));
        Assert.Contains("is missing", reason, StringComparison.Ordinal);
        Assert.False(new KvmEngine(new KvmOptions { Device = "/dev/null" }).Supports(new X64Architecture(), out reason));
        Assert.Equal("/dev/null is not KVM.", reason);
        // A file that not even root may write.
        string readOnly = Require.File("/proc/sys/kernel/osrelease", "Linux's procfs");
        Assert.False(new KvmEngine(new KvmOptions { Device = readOnly }).Supports(new X64Architecture(), out reason));
        Assert.Contains("may not be opened: add the user to the group", reason, StringComparison.Ordinal);
        Assert.Contains("may not be opened", Assert.Throws<VirtKitException>(() => new KvmEngine(new KvmOptions { Device = readOnly }).ReadHostCpuid()).Message, StringComparison.Ordinal);
        Assert.False(new KvmEngine().Supports(new RiscVArchitecture(), out reason));
        Assert.Contains("riscv64", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Supports_CapabilitiesMissing_NamesEach()
    {
        Assert.Null(KvmSystem.FindLack(_ => 1));
        Assert.Equal("The kernel's KVM lacks immediate exit (capability 136), MSR filters (capability 189).", KvmSystem.FindLack(c => c is KvmCap.ImmediateExit or KvmCap.X86MsrFilter ? 0 : 1));
    }

    private sealed class Scratch : IMsrHandler
    {
        /// <summary>An MSR that it does not take.</summary>
        public const uint Absent = 0x5678;

        public List<(uint, ulong)> Writes { get; } = [];

        public List<uint> Reads { get; } = [];

        public bool TryRead(int vcpu, uint index, out ulong value)
        {
            Reads.Add(index);
            value = index;
            return index != Absent;
        }

        public bool TryWrite(int vcpu, uint index, ulong value)
        {
            Writes.Add((index, value));
            return index != Absent;
        }
    }

    private sealed class Broken : IMsrHandler
    {
        public bool TryRead(int vcpu, uint index, out ulong value) => throw new InvalidOperationException("broken");

        public bool TryWrite(int vcpu, uint index, ulong value) => throw new InvalidOperationException("broken");
    }
}
