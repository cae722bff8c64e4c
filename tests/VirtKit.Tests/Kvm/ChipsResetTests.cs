using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>A machine's reset reaches PIC, I/O APIC and PIT, whether they are the kernel's or ours: what one guest has programmed must not interrupt the next.</summary>
public sealed class ChipsResetTests
{
    public static TheoryData<KvmInterruptController> Chips => X64BoardGuest.Chips;

    [Theory, MemberData(nameof(Chips))]
    public void Reset_AfterAGuestHasProgrammedTheChips_BringsThemBackToPowerOn(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips);
        string before = Describe(guest);
        guest.Load(a =>
        {
            StartPics(a, 0xfefe);
            Out(a, 0x4d0, 0x20);
            Redirect(a, 5, 0x8041);
            // Counter 0 ticks a thousand times a second.
            foreach ((ushort port, byte value) in (ReadOnlySpan<(ushort, byte)>)[(0x43, 0x34), (0x40, 0xa9), (0x40, 0x04), (0x61, 3)])
                Out(a, port, value);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        string programmed = Describe(guest);
        Assert.Contains("imr fe fe, elcr 20", programmed, StringComparison.Ordinal);
        Assert.NotEqual(before, programmed);
        guest.Machine.Reset();
        Assert.Equal(before, Describe(guest));
    }

    private static string Describe(X64BoardGuest guest)
    {
        guest.Board.InterruptChips.GetState(out X64InterruptChipsState state);
        X64PitCounter counter = state.Pit.Counters[0];
        return $"imr {state.PrimaryPic.Imr:x2} {state.SecondaryPic.Imr:x2}, elcr {state.PrimaryPic.Elcr:x2}, base {state.PrimaryPic.VectorBase:x2} {state.SecondaryPic.VectorBase:x2}, "
            + $"entry 5 {state.IoApic.Entries[5]:x}, counter 0 {(counter.Loaded ? $"mode {counter.Mode} count {counter.Count}" : "waits")}, speaker {state.Pit.SpeakerOn}";
    }
}
