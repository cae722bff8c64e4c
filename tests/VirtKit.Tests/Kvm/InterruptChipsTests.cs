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
    private const uint Table = 0x3_0000, Handlers = 0x3_1000, None = 0x100;
    private const ushort Done = 0xf4, LinePort = 0x500;

    /// <summary>Both PICs initialised to vectors from 0x20, nothing masked.</summary>
    private static Step[] StartPics(uint icw4) =>
    [
        Out(0x20, 0x11), Out(0x21, 0x20), Out(0x21, 4), Out(0x21, icw4), Out(0xa0, 0x11), Out(0xa1, 0x28), Out(0xa1, 2), Out(0xa1, 1), Out(0x21, 0), Out(0xa1, 0),
    ];

    [Fact]
    public void Pic_SameScript_AnswersAsTheKernels() => Compare(
    [
        Out(0x20, 0x11), Out(0x21, 0x20), Out(0x21, 4), Out(0x21, 1), Out(0xa0, 0x11), Out(0xa1, 0x28), Out(0xa1, 2), Out(0xa1, 1),
        In(0x21), In(0xa1), Out(0x21, 0xfb), Out(0xa1, 0xff), In(0x21), In(0xa1), In(0x20), Out(0x20, 0x0b), In(0x20), Out(0x20, 0x0a), In(0x20),
        Out(0x20, 0x20), Out(0x20, 0x61), Out(0x20, 0xa0), Out(0x20, 0xc3), Out(0x20, 0x68), In(0x21),
        Out(0x4d0, 0xff), Out(0x4d1, 0xff), In(0x4d0), In(0x4d1), Out(0x4d0, 0), Out(0x4d1, 0), In(0x4d0),
    ]);

    [Fact]
    public void Pic_Requests_AreServedAsTheKernelsServesThem() => Compare(
    [
        .. StartPics(1),
        // An edge is kept; a more urgent one nests, a less urgent one waits; ends by order and by name.
        .. Pulse(3), Out(0x20, 0x0a), In(0x20), Take, Out(0x20, 0x0b), In(0x20), .. Pulse(1), Take, In(0x20), .. Pulse(5), Take, Out(0x20, 0x20), In(0x20), Take,
        Out(0x20, 0x63), In(0x20), Take, Out(0x20, 0x20), Take,
        // Masked and unmasked.
        Out(0x21, 0x10), .. Pulse(4), Take, Out(0x21, 0), Take, Out(0x20, 0x20),
        // Through the second one.
        .. Pulse(10), Take, In(0x20), Out(0xa0, 0x0b), In(0xa0), .. Pulse(9), Take, Out(0xa0, 0x20), Out(0x20, 0x20), Take, Out(0xa0, 0x20), Out(0x20, 0x20), In(0xa0), In(0x20),
        // A level comes until it falls.
        Out(0x4d1, 8), Line(11, true), Take, Out(0xa0, 0x20), Out(0x20, 0x20), Take, Line(11, false), Out(0xa0, 0x20), Out(0x20, 0x20), Take, Out(0x4d1, 0),
    ]);

    [Fact]
    public void Pic_Rotations_AreTheKernels() => Compare(
    [
        .. StartPics(1), Out(0x20, 0x0b),
        // Rotate at an end, in order and by name, and set the lowest priority.
        .. Pulse(3), .. Pulse(4), Take, Out(0x20, 0xa0), .. Pulse(1), Take, Out(0x20, 0x20), Take, Out(0x20, 0xe1), .. Pulse(0), .. Pulse(7), Take, Out(0x20, 0x20), Take, Out(0x20, 0x20),
        Out(0x20, 0xc5), .. Pulse(5), .. Pulse(6), Take, Out(0x20, 0x20), Take, Out(0x20, 0x20), In(0x20), Out(0x20, 0xc7),
        // The kernel lets special mask mode have no effect, and polls without taking into service: these are ours alone.
        .. Pulse(3), Take, Out(0x20, 0x63),
    ]);

    [Fact]
    public void Pic_AutomaticEoiAndSpecialNesting_AreTheKernels() => Compare(
    [
        .. StartPics(3), Out(0x20, 0x0b), .. Pulse(3), Take, In(0x20), .. Pulse(3), Take,
        // Rotating at every automatic end.
        Out(0x20, 0x80), .. Pulse(5), Take, .. Pulse(5), .. Pulse(6), Take, Take, Out(0x20, 0),
        // Specially nested, the second one's more urgent request gets through.
        .. StartPics(0x11), .. Pulse(12), Take, .. Pulse(9), Take, Out(0xa0, 0x20), Out(0xa0, 0x20), Out(0x20, 0x20), In(0x20),
    ]);

    [Fact]
    public void Pit_EveryMode_HasTheKernelsStatus() => Compare(
    [
        // Modes 6 and 7 are 2 and 3. The output is left out: some counts are short, and in modes 2, 4 and 5 the kernel's is not the datasheet's.
        .. new uint[] { 0, 1, 2, 3, 4, 5, 6, 7 }.SelectMany(mode => new uint[] { 0, 1, 2 }.SelectMany(counter => new uint[] { 1, 2, 3 }.SelectMany(access => new[]
        {
            Out(0x43, counter << 6 | access << 4 | mode << 1 | mode & 1), Out(0x40 + counter, 0x55), Out(0x40 + counter, 0x66),
            Out(0x43, 0xe0 | 2u << (int)counter), In(0x40 + counter, 0x7f),
        }))),
    ]);

    [Fact]
    public void Pit_LatchedStatus_StaysUntilItIsRead() => Compare(
    [
        Out(0x61, 0), Out(0x43, 0xb0), Out(0x42, 0x34), Out(0x42, 0x12), Out(0x43, 0xe8), Out(0x43, 0xe8), In(0x42, 0x3f), Out(0x43, 0x96), Out(0x42, 0x80), Out(0x43, 0xe8), In(0x42, 0x3f),
        // Status and count at once: the status comes first. The speaker's gate and data are kept.
        Out(0x43, 0x70), Out(0x41, 0xff), Out(0x41, 0xff), Out(0x43, 0xc4), In(0x41, 0x3f), In(0x61, 3), Out(0x61, 3), In(0x61, 3), Out(0x61, 2), In(0x61, 3),
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
    public void IoApic_Requests_AreServedAsTheKernelsServesThem() => Compare(
    [
        Store(LocalApicPage + 0xf0, 0x1ff), Out(0x21, 0xff), Out(0xa1, 0xff),
        // A level: held back while masked, then remote IRR until its end, which a guest that waits in HLT shows elsewhere: this kernel keeps nothing in service
        // that comes while the guest runs.
        .. Redirect(16, 0x1_8051), Line(16, true), .. ReadEntry(16), Take, .. Redirect(16, 0x8051), .. ReadEntry(16), Line(16, false), .. ReadEntry(16), Take, Store(LocalApicPage + 0xb0, 0),
        // An edge: once for each rise.
        .. Redirect(20, 0x62), Line(20, true), Take, .. ReadEntry(20), Store(LocalApicPage + 0xb0, 0), Take, Line(20, false), Line(20, true), Line(20, false), Take, Store(LocalApicPage + 0xb0, 0), Take,
        // Logical destinations, lowest priority; remote IRR cannot be written.
        Store(LocalApicPage + 0xd0, 0x0400_0000), .. Redirect(21, 0x963, 0x0500_0000), Line(21, true), Line(21, false), Take, Store(LocalApicPage + 0xb0, 0), .. Redirect(22, 0xc864), .. ReadEntry(22),
        // The vectors' order, whatever the inputs'.
        .. Redirect(17, 0x71), .. Redirect(18, 0x91), .. Redirect(19, 0x81), .. Pulse(17), .. Pulse(18), .. Pulse(19), Take, Store(LocalApicPage + 0xb0, 0), Take,
        Store(LocalApicPage + 0xb0, 0), Take, Store(LocalApicPage + 0xb0, 0), Take,
    ]);

    [Fact]
    public void LocalApic_Requests_AreServedAsTheKernelsServesThem() => Compare(
    [
        Store(LocalApicPage + 0xf0, 0x1ff), Out(0x21, 0xff), Out(0xa1, 0xff), Take,
        // Every one is ended before the next is taken: this kernel keeps nothing in service that comes while the guest runs.
        Ipi(0x51), Load(LocalApicPage + 0x220), Take, Load(LocalApicPage + 0x220), Store(LocalApicPage + 0xb0, 0), Load(LocalApicPage + 0x120), Load(LocalApicPage + 0xa0),
        Ipi(0x51), Ipi(0x5f), Ipi(0x61), Ipi(0x61), Load(LocalApicPage + 0x220), Load(LocalApicPage + 0x230), Take, Store(LocalApicPage + 0xb0, 0), Take, Store(LocalApicPage + 0xb0, 0), Take,
        Store(LocalApicPage + 0xb0, 0), Take,
        // The task priority.
        Store(LocalApicPage + 0x80, 0x48), Ipi(0x47), Ipi(0x52), Take, Store(LocalApicPage + 0xb0, 0), Load(LocalApicPage + 0xa0), Take, Store(LocalApicPage + 0x80, 0x30), Take,
        Store(LocalApicPage + 0xb0, 0), Store(LocalApicPage + 0x80, 0),
        // To itself by ID, by everybody, by logical destination in both models; to somebody else.
        Store(LocalApicPage + 0x310, 0), Store(LocalApicPage + 0x300, 0x41), Take, Store(LocalApicPage + 0xb0, 0), Store(LocalApicPage + 0x300, 0x8_0042), Take, Store(LocalApicPage + 0xb0, 0),
        Store(LocalApicPage + 0x300, 0xc_0043), Take, Store(LocalApicPage + 0xd0, 0x1200_0000), Store(LocalApicPage + 0x310, 0x0200_0000), Store(LocalApicPage + 0x300, 0x843), Take, Store(LocalApicPage + 0xb0, 0),
        Store(LocalApicPage + 0xe0, 0x0fff_ffff), Store(LocalApicPage + 0x300, 0x844), Take, Store(LocalApicPage + 0x310, 0x1300_0000), Store(LocalApicPage + 0x300, 0x845), Take, Store(LocalApicPage + 0xb0, 0),
        Store(LocalApicPage + 0x310, 0x0500_0000), Store(LocalApicPage + 0x300, 0x46), Take, Load(LocalApicPage + 0x300), Load(LocalApicPage + 0x310),
        // Disabled, it takes nothing.
        Store(LocalApicPage + 0xf0, 0xff), Store(LocalApicPage + 0x310, 0), Ipi(0x51), Load(LocalApicPage + 0x220), Take,
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
        guest.Machine.Ports!.Map(new Gpa(LinePort), new LineDevice((KvmPartition)guest.Machine.Partition));
        guest.Load(64, Interpret);
        for (uint vector = 0; vector < 256; vector++)
        {
            uint handler = Handlers + vector * 16;
            guest.Machine.Memory.TryWrite(new Gpa(Table + vector * 16), (handler & 0xffff) | 8ul << 16 | 0x8e00ul << 32 | (ulong)(handler >> 16) << 48);
            guest.Machine.Memory.Write(new Gpa(handler), X64Guest.Assemble(64, a =>
            {
                a.mov(ebx, vector);
                // One at a time: interrupts stay off where it goes on.
                a.and(__qword_ptr[rsp + 16], ~0x200);
                a.iretq();
            }, handler));
        }

        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = new X64DescriptorTable { Base = Table, Limit = 0xfff };
        guest.Vcpu.SetState(in state);
        for (int i = 0; i < steps.Length; i++)
            guest.Machine.Memory.Write(new Gpa(Script + (ulong)i * 16), steps[i].ToArray());
        guest.Machine.Memory.Write(new Gpa(Script + (ulong)steps.Length * 16), new Step(Kind.End, 0, 0).ToArray());
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        return [.. steps.Select((step, i) =>
        {
            Assert.True(guest.Machine.Memory.TryRead(new Gpa(Script + (ulong)i * 16 + 12), out uint result));
            return step.Describe(result & step.Mask);
        })];
    }

    private static string[] OnModels(Step[] steps)
    {
        AddressSpace memory = new(), ports = new();
        var clock = new TestClock();
        using var apics = new LocalApics(clock, [new ApicPins(default, default)]);
        var ioApic = new IoApic(apics.Deliver);
        var pic = new I8259(apics[0].Lint(0));
        apics.AcknowledgeExternal = pic.Acknowledge;
        apics.EndOfInterrupt += ioApic.EndOfInterrupt;
        using var pit = new I8254(clock, pic.Input(0));
        memory.Map(new Gpa(LocalApicPage), apics[0]);
        memory.Map(new Gpa(IoApicPage), ioApic);
        foreach ((ulong port, IDevice device) in new (ulong, IDevice)[] { (0x20, pic.Primary), (0xa0, pic.Secondary), (0x4d0, pic.EdgeLevel), (0x40, pit), (0x61, pit.Speaker) })
            ports.Map(new Gpa(port), device);
        return [.. steps.Select(step =>
        {
            ulong value = 0;
            if (step.Kind == Kind.Take)
                return step.Describe(apics.Acknowledge(0) is >= 0 and var vector ? (uint)vector : None);
            if (step is { Kind: Kind.Out, Address: LinePort })
            {
                SetLine(step.Value);
                return step.Describe(0);
            }

            bool answered = step.Kind switch
            {
                Kind.Out => ports.TryStore(new Gpa(step.Address), 1, step.Value),
                Kind.In => ports.TryLoad(new Gpa(step.Address), 1, out value),
                Kind.Store => memory.TryStore(new Gpa(step.Address), 4, step.Value),
                _ => memory.TryLoad(new Gpa(step.Address), 4, out value),
            };
            Assert.True(answered, step.Describe(0));
            return step.Describe((uint)value & step.Mask);
        })];

        void SetLine(uint value)
        {
            int input = (int)(value & 0x7f);
            if (input < 16)
                pic.Input(input).Set(value > 0x7f);
            ioApic.Input(input).Set(value > 0x7f);
        }
    }

    /// <summary>The guest: carries out the steps behind <see cref="Script"/> and leaves what it read behind each.</summary>
    private static void Interpret(Assembler a)
    {
        Label next = a.CreateLabel(), write = a.CreateLabel(), read = a.CreateLabel(), store = a.CreateLabel(), load = a.CreateLabel(), take = a.CreateLabel(), keep = a.CreateLabel();
        a.mov(esi, Script);
        a.Label(ref next);
        a.mov(ecx, __dword_ptr[rsi]);
        a.mov(edx, __dword_ptr[rsi + 4]);
        a.mov(eax, __dword_ptr[rsi + 8]);
        a.xor(ebx, ebx);
        foreach ((Kind kind, Label target) in new[] { (Kind.Out, write), (Kind.In, read), (Kind.Store, store), (Kind.Load, load), (Kind.Take, take) })
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
        a.mov(__dword_ptr[rdx], eax);
        a.jmp(keep);
        a.Label(ref take);
        a.mov(ebx, None);
        a.sti();
        a.nop();
        a.@out(0x80, al); // nobody answers, but the guest is left and entered
        a.nop();
        a.cli();
        a.jmp(keep);
        a.Label(ref load);
        a.mov(ebx, __dword_ptr[rdx]);
        a.Label(ref keep);
        a.mov(__dword_ptr[rsi + 12], ebx);
        a.add(rsi, 16);
        a.jmp(next);
    }

    private static Step Out(uint port, uint value) => new(Kind.Out, port, value);

    /// <summary>Reads a port; only the bits of the mask are compared.</summary>
    private static Step In(uint port, uint mask = 0xff) => new(Kind.In, port, mask);

    private static Step Line(uint input, bool level) => new(Kind.Out, LinePort, input | (level ? 0x80u : 0));

    private static Step[] Pulse(uint input) => [Line(input, true), Line(input, false)];

    private static Step Ipi(uint vector) => Store(LocalApicPage + 0x300, 0x4_0000 | vector);

    private static Step[] Redirect(uint input, uint low, uint high = 0) =>
        [Store(IoApicPage, 0x11 + input * 2), Store(IoApicPage + 0x10, high), Store(IoApicPage, 0x10 + input * 2), Store(IoApicPage + 0x10, low)];

    private static Step[] ReadEntry(uint input) => [Store(IoApicPage, 0x10 + input * 2), Load(IoApicPage + 0x10)];

    /// <summary>Lets an interrupt in, if there is one, and notes its vector.</summary>
    private static Step Take => new(Kind.Take, 0, 0);

    private static Step Store(uint address, uint value) => new(Kind.Store, address, value);

    private static Step Load(uint address) => new(Kind.Load, address, 0);

    private enum Kind : uint
    {
        Out,
        In,
        Store,
        Load,
        Take,
        End,
    }

    private readonly record struct Step(Kind Kind, uint Address, uint Value)
    {
        public uint Mask => Kind == Kind.In ? Value : uint.MaxValue;

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

    /// <summary>Sets an input of the kernel's chips: bits 6:0 the input, bit 7 the level.</summary>
    private sealed class LineDevice(KvmPartition partition) : IDevice
    {
        public DeviceWindow Window => new("line", 1, AccessWidths.Byte);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value) => partition.Input((int)(value & 0x7f)).Set(value > 0x7f);

        public void Reset()
        {
        }
    }
}
