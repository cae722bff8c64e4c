using System.Buffers.Binary;
using System.Globalization;
using Iced.Intel;
using VirtKit.Tests.Kvm;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Differential;

/// <summary>A 32-bit guest, started by PVH, that makes every access of a table to the ports and windows of a PC and notes what each read gave.</summary>
internal static class PcAccessProgram
{
    public const int MemorySize = 32 << 20;
    private const uint Code = 0x10_0000, Results = 0x20_0000, QemusSleepControl = 0xfea0_0200;
    private const uint Uart = 0x3f8, Cmos = 0x70, Pic = 0x20, SecondPic = 0xa0, Elcr = 0x4d0, IoApic = 0xfec0_0000, LocalApic = 0xfee0_0000;

    /// <summary>Brings the chips into a state that both machines have in common.</summary>
    private static readonly Access[] SetUp =
    [
        .. Out((Uart + 3, 3), (Uart + 1, 0), (Uart + 2, 0), (Uart + 4, 0), (Uart + 7, 0x5a), (Cmos, 11), (Cmos + 1, 2), (Cmos, 0x41), (Cmos + 1, 0xa5), (Cmos, 0x40), (Cmos + 1, 0x5a)),
        // Counter 0 of the PIT waits: a tick would be an interrupt request.
        .. Out((0x43, 0x30), (Pic, 0x11), (Pic + 1, 0x20), (Pic + 1, 4), (Pic + 1, 1), (Pic + 1, 0xfb), (SecondPic, 0x11), (SecondPic + 1, 0x28), (SecondPic + 1, 2), (SecondPic + 1, 1), (SecondPic + 1, 0xff)),
        .. Out((Elcr, 0), (Elcr + 1, 0)), Access.Store("", IoApic, 4, 1),
    ];

    private static readonly Access[] Script =
    [
        .. InAll("uart", Uart - 2, Uart + 9).Where(a => a.Address >= Uart + 8 || a.Address + a.Size <= Uart + 8), .. InAll("cmos", Cmos - 2, Cmos + 2), .. InAll("pic", Pic - 1, Pic + 2), .. InAll("pic2", SecondPic - 1, SecondPic + 2), .. InAll("elcr", Elcr - 1, Elcr + 2),
        .. InAll("nobody", 0x300, 0x301),
        // Index and data of the CMOS by one OUT, whole and in halves of an odd one.
        .. OutThenIn("cmos", Cmos, 2, 0x6b42, Cmos + 1), .. OutThenIn("cmos", Cmos, 4, 0xffff_6c43, Cmos + 1), .. OutThenIn("cmos", Cmos - 1, 2, 0x4099, Cmos + 1),
        .. OutThenIn("cmos", Cmos + 1, 2, 0xff5b, Cmos + 1), .. OutThenIn("cmos", Cmos - 2, 4, 0x5c44_0000, Cmos + 1),
        // The serial port's registers behind the first one; not past its end, where QEMU 7.2 stops with a failed assertion.
        .. OutThenIn("uart", Uart, 2, 0x052e, Uart + 1), .. OutThenIn("uart", Uart + 1, 2, 0x0004, Uart + 1, Uart + 2), .. OutThenIn("uart", Uart + 2, 4, 0xff03_0300, Uart + 2, Uart + 3, Uart + 4, Uart + 5),
        .. OutThenIn("uart", Uart + 6, 2, 0x6600, Uart + 7), .. OutThenIn("uart", Uart - 1, 2, 0x2e00, Uart + 5),
        .. OutThenIn("uart", Uart, 4, 0x0300_002e, Uart + 1, Uart + 3),
        // Command and mask of a PIC.
        .. OutThenIn("pic", Pic, 2, 0x5a0b, Pic, Pic + 1), .. OutThenIn("pic", Pic + 1, 2, 0x00a5, Pic + 1), .. OutThenIn("pic", Pic - 1, 2, 0x0a00, Pic, Pic + 1),
        .. OutThenIn("pic2", SecondPic, 4, 0xffff_690b, SecondPic, SecondPic + 1), .. OutThenIn("elcr", Elcr, 2, 0xffff, Elcr, Elcr + 1), .. OutThenIn("elcr", Elcr - 1, 4, 0x0000_0000, Elcr, Elcr + 1),
        // Windows in memory.
        .. LoadAll("ioapic.window", IoApic + 0x10), .. LoadAll("lapic.version", LocalApic + 0x30), .. LoadAll("virtio.magic", 0), .. LoadAll("virtio.version", 4), .. LoadAll("virtio.status", 0x70),
    ];

    /// <summary>The guest as an ELF file with a PVH entry.</summary>
    /// <param name="virtio">Where the first virtio slot is.</param>
    public static byte[] Assemble(uint virtio) => X64BootTests.Elf(
        X64Guest.Assemble(32, a =>
        {
            a.mov(edi, Results);
            foreach (Access access in SetUp.Concat(Script))
                access.Assemble(a, virtio);
            // The end: by the sleep register of QEMU's microvm, where our board has nothing, and by our debug exit port.
            a.mov(edx, QemusSleepControl);
            a.mov(__byte_ptr[edx], 0x34);
            a.mov(eax, 0);
            a.@out(0xf4, al);
            a.hlt();
        }, Code),
        Code,
        withNote: true);

    /// <summary>What the guest has noted, a line for each read.</summary>
    public static IReadOnlyList<string> Read(ReadOnlySpan<byte> memory)
    {
        var lines = new List<string>();
        int place = (int)Results;
        foreach (Access access in Script)
        {
            if (access.IsStore)
            {
                lines.Add($"{access.Name} {access.Size * 8} <- {access.Value:x}");
                continue;
            }

            uint value = BinaryPrimitives.ReadUInt32LittleEndian(memory[place..]);
            lines.Add($"{access.Name} {access.Size * 8,-2} {value.ToString("x" + access.Size * 2, CultureInfo.InvariantCulture)}");
            place += 4;
        }

        return lines;
    }

    private static IEnumerable<Access> Out(params (uint Port, uint Value)[] bytes) => bytes.Select(b => Access.Out("", b.Port, 1, b.Value));

    private static IEnumerable<Access> InAll(string name, uint from, uint to)
    {
        for (int size = 1; size <= 4; size *= 2)
        {
            for (uint port = from; port < to; port++)
                yield return Access.In($"in  {name,-6} 0x{port:x3}", port, size);
        }
    }

    private static IEnumerable<Access> OutThenIn(string name, uint port, int size, uint value, params uint[] ports) =>
    [
        Access.Out($"out {name,-6} 0x{port:x3}", port, size, value), .. ports.Select(p => Access.In($"    {name,-6} 0x{p:x3}", p, 1)),
    ];

    private static IEnumerable<Access> LoadAll(string name, uint address)
    {
        for (int size = 1; size <= 4; size *= 2)
        {
            for (uint offset = 0; offset < 4; offset++)
                yield return Access.Load($"load {name}+{offset}", address + offset, size);
        }
    }

    /// <summary>One access. Addresses below 64 KiB of memory are a virtio slot's.</summary>
    private sealed record Access(string Name, bool IsPort, uint Address, int Size, uint Value, bool IsStore)
    {
        public static Access In(string name, uint port, int size) => new(name, true, port, size, 0, false);

        public static Access Out(string name, uint port, int size, uint value) => new(name, true, port, size, value, true);

        public static Access Load(string name, uint address, int size) => new(name, false, address, size, 0, false);

        public static Access Store(string name, uint address, int size, uint value) => new(name, false, address, size, value, true);

        public void Assemble(Assembler a, uint virtio)
        {
            a.mov(edx, IsPort || Address >= 0x1_0000 ? Address : virtio + Address);
            a.mov(eax, Value);
            switch (IsPort, IsStore, Size)
            {
                case (true, true, 1):
                    a.@out(dx, al);
                    break;
                case (true, true, 2):
                    a.@out(dx, ax);
                    break;
                case (true, true, _):
                    a.@out(dx, eax);
                    break;
                case (true, false, 1):
                    a.@in(al, dx);
                    break;
                case (true, false, 2):
                    a.@in(ax, dx);
                    break;
                case (true, false, _):
                    a.@in(eax, dx);
                    break;
                case (false, true, _):
                    a.mov(__dword_ptr[edx], eax);
                    break;
                case (false, false, 1):
                    a.mov(al, __byte_ptr[edx]);
                    break;
                case (false, false, 2):
                    a.mov(ax, __word_ptr[edx]);
                    break;
                default:
                    a.mov(eax, __dword_ptr[edx]);
                    break;
            }

            if (IsStore)
                return;
            a.mov(__dword_ptr[edi], eax);
            a.add(edi, 4);
        }
    }
}
