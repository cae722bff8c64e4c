using Iced.Intel;
using VirtKit.Accel.Kvm;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>The board's ISA bus: wide accesses to byte-wide chips are successive ones of a byte each, at any port.</summary>
public sealed class PortWidthTests
{
    public static TheoryData<KvmInterruptController> Chips => X64BoardGuest.Chips;

    [Theory, MemberData(nameof(Chips))]
    public void WideAccess_ToByteWideChips_IsSplit(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips);
        guest.Load(a =>
        {
            // CMOS: index and data by one OUT; the bytes behind belong to nobody.
            OutWord(a, 0x70, 0x5a40);
            Out(a, 0x70, 0x40);
            In(a, 0x71, 1);
            OutDword(a, 0x70, 0xffff_a541);
            In(a, 0x71, 1);
            // A word of which one half is there, from below and from above.
            In(a, 0x71, 2);
            OutWord(a, 0x6f, 0x4099);
            In(a, 0x71, 1);
            // The serial port: scratch from an odd address, two registers at once, four at once.
            OutWord(a, 0x3fe, 0x7700);
            In(a, 0x3ff, 1);
            In(a, 0x3fe, 2);
            OutDword(a, 0x3f9, 0x0003_0005);
            In(a, 0x3f9, 4);
            In(a, 0x3ff, 2);
            In(a, 0x3f7, 2);
            // Nobody at all.
            In(a, 0x300, 4);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal(
            "5a" + "a5" + "a5ff" + "5a" + "77" + "b077" + "05010300" + "77ff" + "ff00" + "ffffffff",
            guest.ReadLog());
    }

    private static void OutWord(Assembler a, ushort port, ushort value)
    {
        a.mov(dx, port);
        a.mov(ax, value);
        a.@out(dx, ax);
    }

    private static void OutDword(Assembler a, ushort port, uint value)
    {
        a.mov(dx, port);
        a.mov(eax, value);
        a.@out(dx, eax);
    }

    /// <summary>Notes what a port gives at a width.</summary>
    private static void In(Assembler a, ushort port, int size)
    {
        a.mov(dx, port);
        switch (size)
        {
            case 1:
                a.@in(al, dx);
                break;
            case 2:
                a.@in(ax, dx);
                break;
            default:
                a.@in(eax, dx);
                break;
        }

        for (int i = 0; i < size; i++)
        {
            NoteAl(a);
            a.shr(eax, 8);
        }
    }
}
