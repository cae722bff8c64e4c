using VirtKit.Accel.Kvm;
using VirtKit.RiscV;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>CPUID and MSR policies as the guest sees them.</summary>
public sealed class KvmPolicyTests
{
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
    public void Msr_EmulatedRefusedAndUnknown_AreAsThePolicySays()
    {
        var handler = new Scratch();
        MsrPolicy policy = MsrPolicy.Default.Emulate(0x1234, handler).Refuse(0xc000_0102).EmulateUnknown(handler);
        using var guest = new X64Guest(new X64Architecture { Msrs = policy });
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
            a.mov(ecx, 0xc000_0102);
            a.rdmsr();
        });
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = default; // the #GP of the refused one ends in a triple fault
        guest.Vcpu.SetState(in state);
        Assert.Equal(ExitReason.Fault, guest.Run().Reason);
        Assert.Equal([(0x1234u, 0x66_0000_0055ul)], handler.Writes);
        Assert.Equal([0x1234u, 0x4321u], handler.Reads);
    }

    [Fact]
    public void Msr_HandlerThatThrows_IsAnInternalError()
    {
        using var guest = new X64Guest(new X64Architecture { Msrs = MsrPolicy.Default.Emulate(0x1234, new Broken()) });
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
    public void Supports_NoDeviceOrNotKvm_SaysWhy()
    {
        Assert.False(new KvmEngine(new KvmOptions { Device = "/dev/kvm-is-not-here" }).Supports(new X64Architecture(), out string? reason));
        Assert.Contains("is missing", reason, StringComparison.Ordinal);
        Assert.False(new KvmEngine(new KvmOptions { Device = "/dev/null" }).Supports(new X64Architecture(), out reason));
        Assert.Equal("/dev/null is not KVM.", reason);
        Assert.False(new KvmEngine().Supports(new RiscVArchitecture(), out reason));
        Assert.Contains("riscv64", reason, StringComparison.Ordinal);
    }

    private sealed class Scratch : IMsrHandler
    {
        public List<(uint, ulong)> Writes { get; } = [];

        public List<uint> Reads { get; } = [];

        public bool TryRead(int vcpu, uint index, out ulong value)
        {
            Reads.Add(index);
            value = index;
            return true;
        }

        public bool TryWrite(int vcpu, uint index, ulong value)
        {
            Writes.Add((index, value));
            return true;
        }
    }

    private sealed class Broken : IMsrHandler
    {
        public bool TryRead(int vcpu, uint index, out ulong value) => throw new InvalidOperationException("broken");

        public bool TryWrite(int vcpu, uint index, ulong value) => throw new InvalidOperationException("broken");
    }
}
