using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>A driver of a few instructions on the board's first virtio slot: queue in guest memory, notification, and the slot's own input of the I/O APIC.</summary>
public sealed class X64VirtioTests
{
    private const uint Slot = 0xfe00_0000, Descriptors = 0x7_0000, Available = 0x7_1000, Used = 0x7_2000, Buffer = 0x7_3000, Length = 32;
    private const int Input = 16, Level = 1 << 15;

    /// <summary>A vector whose handler leaves the end of interrupt to the guest: not before the device has taken its line back.</summary>
    private const byte Vector = 0x35;

    public static TheoryData<KvmInterruptController> Chips => X64BoardGuest.Chips;

    [Theory, MemberData(nameof(Chips))]
    public void Entropy_TwoRequests_ComeBackWithAnInterruptEach(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips);
        AddressSpace memory = guest.Machine.Memory;
        Assert.True(memory.TryWrite(new Gpa(Descriptors), (ulong)Buffer));
        Assert.True(memory.TryWrite(new Gpa(Descriptors + 8), Length | 2ul << 32)); // for the device to write
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            StartPics(a, 0xffff);
            Redirect(a, Input, Level | Vector);
            foreach ((uint register, uint value) in (ReadOnlySpan<(uint, uint)>)
                [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xb), (0x30, 0), (0x38, 8), (0x80, Descriptors), (0x90, Available), (0xa0, Used), (0x44, 1), (0x70, 0xf)])
                Store(a, Slot + register, value);
            for (int request = 1; request <= 2; request++)
            {
                a.mov(__dword_ptr[Counts + Vector * 4], 0);
                a.mov(__word_ptr[Available + 2], (short)request);
                Store(a, Slot + 0x50, 0);
                Await(a, Vector, 1);
                NoteRegister(a, Slot + 0x60);
                Store(a, Slot + 0x64, 1);
                Lapic(a, 0xb0, 0);
                // A kernel that emulates ring 0 may have brought the interrupt twice, while the line was up.
                Open(a);
                NoteRegister(a, Slot + 0x60);
                NoteRegister(a, Used + 2);
            }

            a.mov(__dword_ptr[Counts + Vector * 4], 0);
            Open(a);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal(0u, guest.Count(Vector));
        Assert.Equal("010001010002", string.Concat(Convert.FromHexString(guest.ReadLog()).Where(note => note != Vector).Select(note => $"{note:x2}")));
        byte[] random = new byte[Length];
        memory.Read(new Gpa(Buffer), random);
        Assert.True(random.Distinct().Count() > 4, Convert.ToHexString(random));
        Assert.True(memory.TryRead(new Gpa(Used + 16), out uint written));
        Assert.Equal(Length, written);
    }

    private static void NoteRegister(Assembler a, uint address)
    {
        a.mov(ebx, address);
        a.mov(eax, __dword_ptr[rbx]);
        NoteAl(a);
    }
}
