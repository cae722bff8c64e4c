using System.Runtime.CompilerServices;
using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Descriptors and mappings are the process's: what counts them runs alone.</summary>
[CollectionDefinition(nameof(KvmLeakTests), DisableParallelization = true)]
[Collection(nameof(KvmLeakTests))]
public sealed class KvmLeakTests
{
    [Fact]
    public void Machines_AThousandOneAfterTheOther_LeaveNothingBehind()
    {
        RunOne(0);
        RunOne(1);
        // What other tests have forgotten goes first.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        (string descriptors, string mappings) = Count();
        for (int i = 0; i < 1000; i++)
            RunOne(i);
        Assert.Equal((descriptors, mappings), Count());
        using (new X64Guest())
            Assert.NotEqual((descriptors, mappings), Count());
    }

    /// <summary>Machines that nobody disposes of, with all that can be made of one: the collector takes them, and the kernel's part with them.</summary>
    [Fact]
    public void Machines_NeverDisposedOf_AreCollected()
    {
        RunOne(0);
        WeakReference[] forgotten = Forget(30);
        for (int i = 0; i < 50 && (forgotten.Any(f => f.IsAlive) || Count() != (None, None)); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.DoesNotContain(forgotten, f => f.IsAlive);
        Assert.Equal((None, None), Count());
    }

    /// <summary>A constructor that fails in the middle of its vCPUs leaves nothing behind.</summary>
    [Fact]
    public void Machines_ThatCannotBeMade_LeaveNothingBehind()
    {
        RunOne(0);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        (string descriptors, string mappings) = Count();
        for (int i = 0; i < 100; i++)
        {
            // Only the third vCPU's number is in a gap of the topology.
            Assert.Throws<VirtKitException>(() => new X64Guest(new X64Architecture { Cpuid = CpuidPolicy.Host.WithTopology(new CpuidTopology(1, 3)).Then(CpuidPolicy.Host) }, vcpuCount: 4));
        }

        Assert.Equal((descriptors, mappings), Count());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference[] Forget(int count) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel }, vcpuCount: 2);
        var partition = (KvmPartition)guest.Machine.Partition;
        partition.CreateDoorbell(new Gpa(0x1000_0000), 4);
        partition.CreateInterruptEvent(4).Signal();
        partition.StartDirtyLog(guest.Ram);
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.jmp(again);
        });
        Assert.Equal(ExitReason.BudgetExhausted, guest.Vcpu.Run(1_000_000).Reason);
        return new WeakReference(guest.Machine);
    })];

    [Fact]
    public void Run_ManyExits_AllocatesNothing()
    {
        using var guest = new X64Guest();
        var device = new Silent();
        guest.Machine.Ports!.Map(new Gpa(0x80), device);
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), new Silent());
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, 0x1000_0000);
            a.mov(dx, 0x80);
            a.Label(ref again);
            a.@out(dx, al);
            a.mov(eax, __dword_ptr[rbx]);
            a.jmp(again);
        });
        device.StopAfter(200, guest.Vcpu);
        guest.RunUnlimited();
        device.StopAfter(2000, guest.Vcpu);
        long before = GC.GetAllocatedBytesForCurrentThread();
        VcpuExit exit = guest.RunUnlimited();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(ExitReason.Kicked, exit.Reason);
        Assert.Equal(0, allocated);
    }

    [Theory, InlineData(KvmInterruptController.External), InlineData(KvmInterruptController.Kernel)]
    public void Run_ExitsOfEveryKindOnTheBoard_AllocateNothing(KvmInterruptController chips)
    {
        var answers = new Answers();
        var architecture = new X64Architecture { HypercallPort = 0xe8, Msrs = MsrPolicy.Default.Emulate(0x1234) };
        using var guest = new X64BoardGuest(chips, architecture: architecture);
        guest.Machine.Hypercalls = answers;
        X64Platform.Of(guest.Machine).MsrHandler = answers;
        guest.Load(a =>
        {
            Label again = a.CreateLabel();
            X64BoardGuest.Lapic(a, 0xf0, 0x1ff);
            a.Label(ref again);
            X64BoardGuest.Out(a, 0x3f8, (byte)'x'); // the serial port
            X64BoardGuest.Out(a, 0x70, 0xb);
            a.@in(al, 0x71);
            a.@in(al, 0x40); // the timer
            a.mov(ebx, 0x9000_0000);
            a.mov(eax, __dword_ptr[rbx]); // nobody's
            X64BoardGuest.Store(a, 0xfe00_0014, 0);
            a.mov(ebx, 0xfe00_0000);
            a.mov(eax, __dword_ptr[rbx]); // virtio
            X64BoardGuest.Lapic(a, 0x80, 0x10);
            a.mov(rsi, X64BoardGuest.Log);
            a.mov(ecx, 16);
            a.mov(dx, 0x3f8);
            a.rep.outsb();
            a.mov(ecx, 0x1234);
            a.rdmsr();
            a.wrmsr();
            a.@out(0xe8, al);
            X64BoardGuest.Lapic(a, 0x300, 0x4_0041); // an interrupt
            X64BoardGuest.Open(a);
            a.jmp(again);
        });
        Vcpu vcpu = guest.Machine.Vcpus[0];
        answers.StopAfter(50, vcpu);
        Assert.Equal(ExitReason.Kicked, vcpu.Run().Reason);
        answers.StopAfter(300, vcpu);
        long before = GC.GetAllocatedBytesForCurrentThread();
        VcpuExit exit = vcpu.Run();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(ExitReason.Kicked, exit.Reason);
        Assert.True(guest.Count(0x41) >= 300);
        Assert.Equal(0, allocated);
    }

    /// <summary>A machine that ends in one of the ways a hostile guest chooses.</summary>
    private static void RunOne(int number)
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            switch (number % 4)
            {
                case 0:
                    a.ud2();
                    break;
                case 1:
                    a.hlt();
                    break;
                case 2:
                    a.mov(rbx, 0x1000_0000);
                    a.paddb(xmm0, __xmmword_ptr[rbx]);
                    break;
                default:
                    a.mov(rax, __qword_ptr[0x7000_0000]);
                    a.hlt();
                    break;
            }
        });
        ExitReason expected = (number % 4) switch { 0 => ExitReason.Fault, 2 => ExitReason.Unsupported, _ => ExitReason.Halted };
        Assert.Equal(expected, guest.Run().Reason);
    }

    private static readonly string[] Kinds = ["kvm", "eventfd", "memfd:virtkit"];

    /// <summary>What <see cref="Count"/> says where no machine is left.</summary>
    private static readonly string None = string.Join(", ", Kinds.Select(kind => $"{kind} 0"));

    /// <summary>What a machine has of the kernel, by kind. Files and memory of the runtime come and go as it likes.</summary>
    private static (string Descriptors, string Mappings) Count()
    {
        string[] descriptors = [.. Directory.EnumerateFileSystemEntries("/proc/self/fd").Select(path => new FileInfo(path).LinkTarget ?? "")], mappings = File.ReadAllLines("/proc/self/maps");
        return (Tell(descriptors), Tell(mappings));

        string Tell(string[] lines) => string.Join(", ", Kinds.Select(kind => $"{kind} {lines.Count(line => line.Contains(kind, StringComparison.Ordinal))}"));
    }

    /// <summary>Answers hypercalls and an MSR, and stops the vCPU at the last call.</summary>
    private sealed class Answers : IHypercallHandler, IMsrHandler
    {
        private int _left;
        private Vcpu? _vcpu;

        public void StopAfter(int calls, Vcpu vcpu) => (_left, _vcpu) = (calls, vcpu);

        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            if (--_left == 0)
                _vcpu!.Kick();
            result = call.Number + 1;
            return true;
        }

        public bool TryRead(int vcpu, uint index, out ulong value)
        {
            value = index;
            return true;
        }

        public bool TryWrite(int vcpu, uint index, ulong value) => true;
    }

    private sealed class Silent : IDevice
    {
        private int _left;
        private Vcpu? _vcpu;

        public DeviceWindow Window => new("silent", 8);

        public void StopAfter(int accesses, Vcpu vcpu) => (_left, _vcpu) = (accesses, vcpu);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value)
        {
            if (--_left == 0)
                _vcpu!.Kick();
        }

        public void Reset()
        {
        }
    }
}
