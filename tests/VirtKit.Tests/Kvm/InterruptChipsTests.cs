using System.Buffers.Binary;
using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Our models of a PC's interrupt chips beside the kernel's: the same register script, run by a guest on KVM and by us on the models.</summary>
public sealed class InterruptChipsTests
{
    private const uint Script = 0x4_0000, LocalApicPage = 0xfee0_0000, IoApicPage = 0xfec0_0000;
    private const ushort Done = 0xf4;

    [Fact]
    public void Pic_SameScript_AnswersAsTheKernels() => Compare(
    [
        Out(0x20, 0x11), Out(0x21, 0x20), Out(0x21, 4), Out(0x21, 1), Out(0xa0, 0x11), Out(0xa1, 0x28), Out(0xa1, 2), Out(0xa1, 1),
        In(0x21), In(0xa1), Out(0x21, 0xfb), Out(0xa1, 0xff), In(0x21), In(0xa1), In(0x20), Out(0x20, 0x0b), In(0x20), Out(0x20, 0x0a), In(0x20),
        Out(0x20, 0x20), Out(0x20, 0x61), Out(0x20, 0xa0), Out(0x20, 0xc3), Out(0x20, 0x68), In(0x21),
        Out(0x4d0, 0xff), Out(0x4d1, 0xff), In(0x4d0), In(0x4d1), Out(0x4d0, 0), Out(0x4d1, 0), In(0x4d0),
    ]);

    [Fact]
    public void Pit_SameScript_AnswersAsTheKernels() => Compare(
    [
        // Long counts, and only what does not depend on the moment: status and the high byte of counter 2, whose gate is closed. In mode 2 the kernel shows
        // the output low for the whole period, where the datasheet has it high but for the last tick: that mode is left out.
        Out(0x61, 0), Out(0x43, 0xb0), Out(0x42, 0x34), Out(0x42, 0x12), Out(0x43, 0xe8), In(0x42), Out(0x43, 0x36), Out(0x40, 0xff), Out(0x40, 0xff), Out(0x43, 0xe2), In(0x40),
        Out(0x43, 0x70), Out(0x41, 0xff), Out(0x41, 0xff), Out(0x43, 0xe4), In(0x41), Out(0x43, 0x96), Out(0x42, 0x80), Out(0x43, 0xe8), In(0x42),
    ]);

    [Fact]
    public void IoApic_SameScript_AnswersAsTheKernels() => Compare(
    [
        .. Enumerable.Range(0x10, 48).SelectMany(i => new[] { Store(IoApicPage, (uint)i), Load(IoApicPage + 0x10) }),
        Store(IoApicPage, 0), Store(IoApicPage + 0x10, 0x0500_0000), Load(IoApicPage + 0x10), Store(IoApicPage, 2), Load(IoApicPage + 0x10),
        Store(IoApicPage, 0x19), Store(IoApicPage + 0x10, 0xff00_0000), Load(IoApicPage + 0x10), Store(IoApicPage, 0x18), Store(IoApicPage + 0x10, 0x1_a950), Load(IoApicPage + 0x10),
        Load(IoApicPage),
    ]);

    [Fact]
    public void LocalApic_SameScript_AnswersAsTheKernels() => Compare(
    [
        Load(LocalApicPage + 0x20), Load(LocalApicPage + 0x80), Load(LocalApicPage + 0xa0), Load(LocalApicPage + 0xe0), Load(LocalApicPage + 0xf0),
        Load(LocalApicPage + 0x320), Load(LocalApicPage + 0x350), Load(LocalApicPage + 0x360), Load(LocalApicPage + 0x370),
        Store(LocalApicPage + 0xf0, 0x1ff), Load(LocalApicPage + 0xf0), Store(LocalApicPage + 0x80, 0x55), Load(LocalApicPage + 0x80), Load(LocalApicPage + 0xa0),
        Store(LocalApicPage + 0xd0, 0x0100_0000), Load(LocalApicPage + 0xd0), Store(LocalApicPage + 0xe0, 0), Load(LocalApicPage + 0xe0),
        Store(LocalApicPage + 0x320, 0x2_0031), Load(LocalApicPage + 0x320), Store(LocalApicPage + 0x370, 0x32), Load(LocalApicPage + 0x370),
        Store(LocalApicPage + 0x3e0, 0xff), Load(LocalApicPage + 0x3e0),
        // The guest has interrupts disabled: what it sends itself stays pending.
        Store(LocalApicPage + 0x300, 0x4_0041), Store(LocalApicPage + 0x300, 0x4_00e1), Load(LocalApicPage + 0x220), Load(LocalApicPage + 0x270), Load(LocalApicPage + 0x120),
        Store(LocalApicPage + 0xb0, 0), Load(LocalApicPage + 0x270), Load(LocalApicPage + 0x390),
        Store(LocalApicPage + 0xf0, 0xff), Load(LocalApicPage + 0x320), Load(LocalApicPage + 0x370),
    ]);

    private static void Compare(Step[] steps)
    {
        string[] kernels = OnKernel(steps), ours = OnModels(steps);
        Assert.Equal(kernels, ours);
    }

    private static string[] OnKernel(Step[] steps)
    {
        using var guest = new X64Guest(new X64Architecture { HypercallPort = Done }, new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        guest.Load(32, Interpret);
        for (int i = 0; i < steps.Length; i++)
            guest.Machine.Memory.Write(new Gpa(Script + (ulong)i * 16), steps[i].ToArray());
        guest.Machine.Memory.Write(new Gpa(Script + (ulong)steps.Length * 16), new Step(Kind.End, 0, 0).ToArray());
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        return [.. steps.Select((step, i) =>
        {
            Assert.True(guest.Machine.Memory.TryRead(new Gpa(Script + (ulong)i * 16 + 12), out uint result));
            return step.Describe(result);
        })];
    }

    private static string[] OnModels(Step[] steps)
    {
        using AddressSpace memory = new(), ports = new();
        var clock = new ManualClock();
        using var apics = new LocalApics(clock, [new ApicPins(default, default)]);
        var ioApic = new IoApic(apics.Deliver);
        var pic = new I8259(apics[0].Lint(0));
        using var pit = new I8254(clock, pic.Input(0));
        memory.Map(new Gpa(LocalApicPage), apics[0]);
        memory.Map(new Gpa(IoApicPage), ioApic);
        foreach ((ulong port, IDevice device) in new (ulong, IDevice)[] { (0x20, pic.Primary), (0xa0, pic.Secondary), (0x4d0, pic.EdgeLevel), (0x40, pit), (0x61, pit.Speaker) })
            ports.Map(new Gpa(port), device);
        return [.. steps.Select(step =>
        {
            ulong value = 0;
            bool answered = step.Kind switch
            {
                Kind.Out => ports.TryStore(new Gpa(step.Address), 1, step.Value),
                Kind.In => ports.TryLoad(new Gpa(step.Address), 1, out value),
                Kind.Store => memory.TryStore(new Gpa(step.Address), 4, step.Value),
                _ => memory.TryLoad(new Gpa(step.Address), 4, out value),
            };
            Assert.True(answered, step.Describe(0));
            return step.Describe((uint)value);
        })];
    }

    /// <summary>The guest: carries out the steps behind <see cref="Script"/> and leaves what it read behind each.</summary>
    private static void Interpret(Assembler a)
    {
        Label next = a.CreateLabel(), write = a.CreateLabel(), read = a.CreateLabel(), store = a.CreateLabel(), load = a.CreateLabel(), keep = a.CreateLabel();
        a.mov(esi, Script);
        a.Label(ref next);
        a.mov(ecx, __dword_ptr[esi]);
        a.mov(edx, __dword_ptr[esi + 4]);
        a.mov(eax, __dword_ptr[esi + 8]);
        a.xor(ebx, ebx);
        foreach ((Kind kind, Label target) in new[] { (Kind.Out, write), (Kind.In, read), (Kind.Store, store), (Kind.Load, load) })
        {
            a.cmp(ecx, (int)kind);
            a.je(target);
        }

        a.@out((byte)Done, al);
        a.Label(ref write);
        a.@out(dx, al);
        a.jmp(keep);
        a.Label(ref read);
        a.@in(al, dx);
        a.movzx(ebx, al);
        a.jmp(keep);
        a.Label(ref store);
        a.mov(__dword_ptr[edx], eax);
        a.jmp(keep);
        a.Label(ref load);
        a.mov(ebx, __dword_ptr[edx]);
        a.Label(ref keep);
        a.mov(__dword_ptr[esi + 12], ebx);
        a.add(esi, 16);
        a.jmp(next);
    }

    private static Step Out(uint port, uint value) => new(Kind.Out, port, value);

    private static Step In(uint port) => new(Kind.In, port, 0);

    private static Step Store(uint address, uint value) => new(Kind.Store, address, value);

    private static Step Load(uint address) => new(Kind.Load, address, 0);

    private enum Kind : uint
    {
        Out,
        In,
        Store,
        Load,
        End,
    }

    private readonly record struct Step(Kind Kind, uint Address, uint Value)
    {
        public byte[] ToArray()
        {
            byte[] bytes = new byte[16];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)Kind);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Address);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Value);
            return bytes;
        }

        public string Describe(uint result) => Kind is Kind.Out or Kind.Store ? $"{Kind} {Address:x} <- {Value:x}" : $"{Kind} {Address:x} -> {result:x}";
    }
}
