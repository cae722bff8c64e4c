using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Stores that the kernel gathers: they arrive in their order, before anything else that the guest does outside, and none is lost.</summary>
public sealed class KvmPostedWritesTests
{
    private const int Window = 0x1000_0000;

    [Fact]
    public void Writes_BetweenOtherAccesses_KeepTheirOrder()
    {
        using var guest = new X64Guest();
        var device = new Poster();
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Machine.Ports!.Map(new Gpa(0x500), new Poster(device.Accesses));
        guest.Load(64, a =>
        {
            a.mov(rbx, Window);
            a.mov(dx, 0x500);
            a.mov(__dword_ptr[rbx], 1); // posted
            a.mov(al, 2);
            a.@out(dx, al); // posted
            a.mov(__byte_ptr[rbx + 3], 3); // posted, narrow
            a.mov(__dword_ptr[rbx + 8], 4); // not posted
            a.mov(__dword_ptr[rbx], 5); // posted
            a.mov(ecx, __dword_ptr[rbx + 8]);
            a.mov(__qword_ptr[rbx], 6); // wider than what is posted
            a.mov(__dword_ptr[rbx], 7); // posted
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(["0/4=1", "0/1=2", "3/1=3", "8/4=4", "0/4=5", "8/4?", "0/8=6", "0/4=7"], device.Accesses);
        // The halt, the store and the load beside it, and the wide one are what came out; counted are all.
        Assert.Equal(8ul, guest.Vcpu.Counters.MmioAccesses);
    }

    [Fact]
    public void Writes_MoreThanTheRingHolds_AllArrive()
    {
        using var guest = new X64Guest();
        var device = new Poster();
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, Window);
            a.mov(ecx, 1);
            a.Label(ref again);
            a.mov(__dword_ptr[rbx], ecx);
            a.inc(ecx);
            a.cmp(ecx, 1000);
            a.jbe(again);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(Enumerable.Range(1, 1000).Select(i => $"0/4={i:x}"), device.Accesses);
    }

    [Fact]
    public void Writes_BeforeAKick_AreThereWhenTheVcpuIsBack()
    {
        using var guest = new X64Guest();
        var device = new Poster();
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, Window);
            a.mov(__dword_ptr[rbx], 9);
            a.Label(ref again);
            a.inc(rax);
            a.jmp(again);
        });
        using var source = new CancellationTokenSource(30);
        do
            Assert.Equal(ExitReason.Kicked, guest.Vcpu.Run(cancellationToken: source.Token).Reason);
        while (guest.Registers.Rax == 0);
        Assert.Equal(["0/4=9"], device.Accesses);
        Assert.Equal(guest.Registers.Rax, guest.Vcpu.GetState<X64State>().Registers.Rax);
    }

    [Fact]
    public void Writes_BeforeAFault_AreThereWhenTheVcpuIsBack()
    {
        using var guest = new X64Guest(new X64Architecture { HypercallPort = 0xe8 });
        var device = new Poster();
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Load(64, a =>
        {
            a.mov(rbx, Window);
            a.mov(__dword_ptr[rbx], 1);
            a.@out(0xe8, al);
            a.mov(__dword_ptr[rbx], 2);
            a.ud2();
        });
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = default;
        guest.Vcpu.SetState(in state);
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        Assert.Equal(["0/4=1"], device.Accesses);
        Assert.Equal(ExitReason.Fault, guest.Run().Reason);
        Assert.Equal(["0/4=1", "0/4=2"], device.Accesses);
    }

    [Fact]
    public void Writes_OfTwoVcpus_ComeBeforeTheOthersRead()
    {
        // The second vCPU posts and then says so in memory; the first, having seen that, reads the device.
        using var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel }, vcpuCount: 2);
        var device = new Poster();
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Machine.Ports!.Map(new Gpa(0x600), new Finisher(guest.Machine));
        guest.Load(32, a =>
        {
            Label wait = a.CreateLabel();
            a.mov(__dword_ptr[0xfee0_00f0], 0x1ff);
            a.mov(__dword_ptr[0xfee0_0300], 0xc_4500);
            a.mov(__dword_ptr[0xfee0_0300], 0xc_4608);
            a.Label(ref wait);
            a.cmp(__word_ptr[0x9000], 50);
            a.jne(wait);
            a.mov(eax, __dword_ptr[Window + 8]);
            a.mov(dx, 0x600);
            a.@out(dx, al);
            a.hlt();
        });
        guest.Machine.Ports!.Map(new Gpa(0x500), new Poster(device.Accesses));
        guest.Machine.Memory.Write(new Gpa(0x8000), X64Guest.Assemble(16, a =>
        {
            Label again = a.CreateLabel(), rest = a.CreateLabel();
            a.xor(cx, cx);
            a.mov(ds, cx);
            a.mov(dx, 0x500);
            a.Label(ref again);
            a.inc(cx);
            a.mov(al, cl);
            a.@out(dx, al);
            a.cmp(cx, 50);
            a.jne(again);
            a.mov(__word_ptr[0x9000], cx);
            a.Label(ref rest);
            a.jmp(rest);
        }, 0));
        using var limit = new CancellationTokenSource(X64Guest.HangLimit);
        Assert.Equal(ExitReason.Shutdown, guest.Machine.Run(limit.Token).Reason);
        Assert.Equal([.. Enumerable.Range(1, 50).Select(i => $"0/1={i:x}"), "8/4?"], device.Accesses);
    }

    [Fact]
    public void Map_ThenUnmap_LeavesAnOrdinaryWindow()
    {
        using var guest = new X64Guest();
        var gone = new Poster();
        guest.Machine.Memory.Unmap(guest.Machine.Memory.Map(new Gpa(Window), gone));
        var device = new Recorder(0x10);
        guest.Machine.Memory.Map(new Gpa(Window), device);
        guest.Load(64, a =>
        {
            a.mov(rbx, Window);
            a.mov(__dword_ptr[rbx], 1);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal([(0ul, 4, 1ul)], device.Writes);
        Assert.Empty(gone.Accesses);
    }

    private sealed class Poster(List<string>? accesses = null) : IDevice, IPostedWrites
    {
        public List<string> Accesses { get; } = accesses ?? [];

        public DeviceWindow Window => new("poster", 0x10);

        public IReadOnlyList<RegisterRange> PostedWrites { get; } = [new(0, 4)];

        public ulong Read(ulong offset, int size)
        {
            Accesses.Add($"{offset:x}/{size}?");
            return 0;
        }

        public void Write(ulong offset, int size, ulong value) => Accesses.Add($"{offset:x}/{size}={value:x}");

        public void Reset()
        {
        }
    }
}
