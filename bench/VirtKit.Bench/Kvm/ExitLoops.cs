using System.Diagnostics;
using VirtKit.Accel.Kvm;
using VirtKit.X86;

namespace VirtKit.Bench.Kvm;

/// <summary>The loops of <c>bench/kvm/exits.c</c> through VirtKit: the same guest code, in real mode; and two more that compare posted writes with others. Each
/// answers nanoseconds.</summary>
internal static class ExitLoops
{
    private const ulong RamSize = 0x80000, Code = 0x10000;

    private static readonly byte[] PortLoop = [0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd];
    private static readonly byte[] MmioLoop = [0xb8, 0x00, 0xa0, 0x8e, 0xd8, 0xa1, 0x00, 0x00, 0xeb, 0xfb];
    private static readonly byte[] Halt = [0xf4];

    /// <summary>mov dx, 0x80; out dx, al; inc dx; in al, dx; dec dx; jmp to the out: an index written, its data read.</summary>
    private static readonly byte[] IndexLoop = [0xba, 0x80, 0x00, 0xee, 0x42, 0xec, 0x4a, 0xeb, 0xfa];

    // One engine for all machines, as an embedder has it.
    private static readonly KvmEngine Engine = new();

    public static double Port(int count)
    {
        using Machine machine = Create(PortLoop);
        var device = new Counter(machine.Vcpus[0]);
        machine.Ports!.Map(new Gpa(0x80), device);
        return Measure(machine, device, count);
    }

    public static double Mmio(int count)
    {
        using Machine machine = Create(MmioLoop);
        var device = new Counter(machine.Vcpus[0]);
        machine.Memory.Map(new Gpa(0xa0000), device);
        return Measure(machine, device, count);
    }

    public static double PortFlood(int count, bool posted) => MeasurePort(PortLoop, count, posted);

    /// <summary>An index and its data are two accesses: nanoseconds for both.</summary>
    public static double IndexAndData(int count, bool posted) => 2 * MeasurePort(IndexLoop, count, posted);

    public static double Create(int count)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
        {
            using Machine machine = Create(Halt);
            Expect(machine.Vcpus[0].Run(), ExitReason.Halted);
        }

        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / count;
    }

    private static double MeasurePort(byte[] code, int count, bool posted)
    {
        using Machine machine = Create(code);
        Counter device = posted ? new PostedCounter(machine.Vcpus[0]) : new Counter(machine.Vcpus[0]);
        machine.Ports!.Map(new Gpa(0x80), device);
        return Measure(machine, device, count);
    }

    private static double Measure(Machine machine, Counter device, int count)
    {
        device.Left = Math.Max(count / 10, 1);
        Expect(machine.Vcpus[0].Run(), ExitReason.Kicked);
        device.Left = count;
        long start = Stopwatch.GetTimestamp();
        Expect(machine.Vcpus[0].Run(), ExitReason.Kicked);
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / count;
    }

    private static Machine Create(byte[] code)
    {
        var machine = new Machine(new MachineOptions { Architecture = new X64Architecture(), Engine = Engine, Scheduling = VcpuScheduling.Threads });
        machine.Memory.MapRam(new Gpa(0), RamSize);
        machine.Memory.Write(new Gpa(Code), code);
        X64State state = machine.Vcpus[0].GetState<X64State>();
        (state.Cs.Base, state.Cs.Selector) = (Code, (ushort)(Code >> 4));
        state.Registers = new X64Registers { Rflags = 2 };
        machine.Vcpus[0].SetState(in state);
        return machine;
    }

    private static void Expect(VcpuExit exit, ExitReason reason)
    {
        if (exit.Reason != reason)
            throw new BenchException($"The guest came back with {exit}.");
    }

    private class Counter(Vcpu vcpu) : IDevice
    {
        public int Left { get; set; }

        public DeviceWindow Window => new("counter", 8);

        public ulong Read(ulong offset, int size)
        {
            Count();
            return 0;
        }

        public void Write(ulong offset, int size, ulong value) => Count();

        public void Reset()
        {
        }

        private void Count()
        {
            if (--Left == 0)
                vcpu.Kick();
        }
    }

    private sealed class PostedCounter(Vcpu vcpu) : Counter(vcpu), IPostedWrites
    {
        public IReadOnlyList<RegisterRange> PostedWrites { get; } = [new(0, 1)];
    }
}
