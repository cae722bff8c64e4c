using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>Local APICs and the I/O APIC, alone and together.</summary>
public sealed class X64ApicTests
{
    private readonly TestLines _lines = new();
    private readonly TestClock _clock = new();

    [Fact]
    public void LocalApic_ScriptOfAccesses_AnswersAsTheManualSays()
    {
        using LocalApics apics = Create(1);
        using var script = new DeviceHarness(apics[0], _lines);
        script.Note("power-on; line 0 is INTR, 1 is NMI");
        foreach ((string name, ulong offset) in new (string, ulong)[] { ("ID", 0x20), ("VERSION", 0x30), ("TPR", 0x80), ("PPR", 0xa0), ("LDR", 0xd0), ("DFR", 0xe0), ("SVR", 0xf0), ("LVT timer", 0x320), ("LVT LINT0", 0x350), ("LVT LINT1", 0x360) })
            script.Read(name, offset, 4);
        script.Note("enabled, an interrupt to itself");
        script.Write("SVR", 0xf0, 4, 0x1ff);
        script.Write("ICR self", 0x300, 4, 0x4_0041);
        script.Read("IRR 64..95", 0x220, 4);
        script.Note("the task priority holds it back");
        script.Write("TPR", 0x80, 4, 0x40);
        script.Write("TPR", 0x80, 4, 0x30);
        script.Event("acknowledge, 0x41", () => Assert.Equal(0x41, apics.Acknowledge(0)));
        script.Read("ISR 64..95", 0x120, 4);
        script.Read("PPR", 0xa0, 4);
        script.Note("a more urgent one nests, one of the same class waits");
        script.Write("ICR self", 0x300, 4, 0x4_004f);
        script.Write("ICR self", 0x300, 4, 0x4_0050);
        script.Event("acknowledge, 0x50", () => Assert.Equal(0x50, apics.Acknowledge(0)));
        script.Write("EOI", 0xb0, 4, 0);
        script.Write("EOI", 0xb0, 4, 0);
        script.Event("acknowledge, 0x4f", () => Assert.Equal(0x4f, apics.Acknowledge(0)));
        script.Write("EOI", 0xb0, 4, 0);
        script.Event("acknowledge, none", () => Assert.Equal(-1, apics.Acknowledge(0)));
        script.Note("the timer: divided by 16, 1000 counts are 16 µs");
        script.Write("DCR", 0x3e0, 4, 3);
        script.Write("LVT timer", 0x320, 4, 0x61);
        script.Write("TICR", 0x380, 4, 1000);
        script.Event("4 µs later", () => _clock.Advance(4_000));
        script.Read("TCCR", 0x390, 4);
        script.Event("12 µs later", () => _clock.Advance(12_000));
        script.Read("TCCR", 0x390, 4);
        script.Event("acknowledge, 0x61", () => Assert.Equal(0x61, apics.Acknowledge(0)));
        script.Write("EOI", 0xb0, 4, 0);
        script.Note("illegal vectors");
        script.Write("ICR self", 0x300, 4, 0x4_0005);
        script.Write("ESR", 0x280, 4, 0);
        script.Read("ESR", 0x280, 4);
        script.Note("disabled, every LVT entry is masked");
        script.Write("SVR", 0xf0, 4, 0xff);
        script.Read("LVT timer", 0x320, 4);
        script.Write("LVT timer", 0x320, 4, 0x61);
        script.Read("LVT timer", 0x320, 4);
        script.Event("reset", apics[0].Reset);
        script.Read("SVR", 0xf0, 4);
        Snapshot.Verify(script.Transcript);
    }

    [Fact]
    public void IoApic_ScriptOfAccesses_AnswersAsTheDatasheetSays()
    {
        var sent = new List<string>();
        var ioApic = new IoApic(m => sent.Add($"vector {m.Vector:x2} {m.Delivery} to {m.Destination:x2}{(m.IsLogical ? " logical" : "")}{(m.IsLevel ? " level" : "")}"));
        using var script = new DeviceHarness(ioApic, _lines);
        script.Note("identity");
        ReadIndirect(script, "ID", 0);
        ReadIndirect(script, "VERSION", 1);
        ReadIndirect(script, "entry 4 low", 0x18);
        script.Note("an edge, remembered while masked");
        script.Event("input 4 pulses", () => Pulse(4));
        WriteIndirect(script, "entry 4 high", 0x19, 0x0100_0000);
        WriteIndirect(script, "entry 4 low", 0x18, 0x34);
        Drain("one message");
        script.Event("input 4 pulses", () => Pulse(4));
        Drain("one message");
        script.Note("a level: once until its end, and again while it lasts");
        WriteIndirect(script, "entry 16 high", 0x31, 0x0300_0000);
        WriteIndirect(script, "entry 16 low", 0x30, 0x8850);
        script.Event("input 16 up", () => ioApic.Input(16).Set(true));
        Drain("one message");
        ReadIndirect(script, "entry 16 low", 0x30);
        script.Event("end of 0x51", () => ioApic.EndOfInterrupt(0x51));
        Drain("none");
        script.Event("end of 0x50", () => ioApic.EndOfInterrupt(0x50));
        Drain("one message");
        script.Event("input 16 down", () => ioApic.Input(16).Set(false));
        script.Write("EOI", 0x40, 4, 0x50);
        Drain("none");
        ReadIndirect(script, "entry 16 low", 0x30);
        script.Note("nothing behind other indices");
        ReadIndirect(script, "0x0f", 0x0f);
        ReadIndirect(script, "0x40", 0x40);
        Snapshot.Verify(script.Transcript);

        void Drain(string expected)
        {
            script.Note(expected + ": " + string.Join("; ", sent));
            sent.Clear();
        }

        void Pulse(int input)
        {
            ioApic.Input(input).Set(true);
            ioApic.Input(input).Set(false);
        }
    }

    [Fact]
    public void LevelInterrupt_EndedAtTheLocalApic_ComesAgainWhileItsLineIsUp()
    {
        using LocalApics apics = Create(1);
        var ioApic = new IoApic(apics.Deliver);
        apics.EndOfInterrupt += ioApic.EndOfInterrupt;
        apics[0].Write(0xf0, 4, 0x1ff);
        ioApic.Write(0, 4, 0x30);
        ioApic.Write(0x10, 4, 0x8061);
        ioApic.Input(16).Set(true);
        for (int i = 0; i < 3; i++)
        {
            Assert.True(_lines.IsAsserted(0));
            Assert.Equal(0x61, apics.Acknowledge(0));
            Assert.False(_lines.IsAsserted(0));
            apics[0].Write(0xb0, 4, 0);
        }

        Assert.Equal(0x61, apics.Acknowledge(0));
        ioApic.Input(16).Set(false);
        apics[0].Write(0xb0, 4, 0);
        Assert.Equal(-1, apics.Acknowledge(0));
    }

    [Theory]
    [InlineData(0x00_0000u, 0x0100_0000u, "2")]
    [InlineData(0x00_0000u, 0xff00_0000u, "0 2")]
    [InlineData(0x00_0800u, 0x0200_0000u, "2")]
    [InlineData(0x04_0000u, 0u, "0")]
    [InlineData(0x08_0000u, 0u, "0 2")]
    [InlineData(0x0c_0000u, 0u, "2")]
    [InlineData(0x00_0100u, 0xff00_0000u, "2")]
    public void Ipi_EachDestination_ReachesTheRightProcessors(uint low, uint high, string expected)
    {
        using LocalApics apics = Create(2);
        for (int i = 0; i < 2; i++)
        {
            apics[i].Write(0xf0, 4, 0x1ff);
            apics[i].Write(0xd0, 4, 1ul << i << 24);
        }

        // The second processor is the idler one.
        apics[0].Write(0x80, 4, 0x10);
        apics[0].Write(0x310, 4, high);
        apics[0].Write(0x300, 4, low | 0x41);
        Assert.Equal(expected, _lines.ToString());
    }

    [Fact]
    public void Lint0_ExternalInterrupt_IsAnsweredByThePic()
    {
        using LocalApics apics = Create(1);
        var pic = new I8259(apics[0].Lint(0));
        apics.AcknowledgeExternal = pic.Acknowledge;
        foreach (ulong value in new ulong[] { 0x20, 4, 1, 0 })
        {
            if (value == 0x20)
                pic.Primary.Write(0, 1, 0x11);
            pic.Primary.Write(1, 1, value);
        }

        pic.Input(4).Set(true);
        Assert.True(_lines.IsAsserted(0));
        Assert.Equal(0x24, apics.Acknowledge(0));
        Assert.False(_lines.IsAsserted(0));
    }

    [Fact]
    public void Timer_Periodic_FiresNoMoreThanTenThousandTimesASecond()
    {
        using LocalApics apics = Create(1);
        apics[0].Write(0xf0, 4, 0x1ff);
        apics[0].Write(0x3e0, 4, 0xb);
        apics[0].Write(0x320, 4, 0x2_0061);
        apics[0].Write(0x380, 4, 1_000_000);
        int taken = 0;
        for (int i = 0; i < 10; i++)
        {
            _clock.Advance(1_000_000);
            taken += apics.Acknowledge(0) == 0x61 ? 1 : 0;
            apics[0].Write(0xb0, 4, 0);
        }

        Assert.Equal(10, taken);
        apics[0].Write(0x380, 4, 1);
        _clock.Advance(1_000_000_000);
        Assert.Equal(1, _clock.Pending);
    }

    /// <summary>Linux's KVM hands out a count of 0 between the end of a period and its timer's callback.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void SetRegisters_TakenWhenTheCountWasZero_GoesOnWhereItIsPeriodic(bool periodic)
    {
        using LocalApics first = Create(1), second = Create(1);
        first[0].Write(0xf0, 4, 0x1ff);
        first[0].Write(0x3e0, 4, 0xb);
        first[0].Write(0x320, 4, periodic ? 0x2_0061u : 0x61);
        first[0].Write(0x380, 4, 1_000_000);
        Span<byte> page = new byte[1024];
        first[0].GetRegisters(page);
        page[0x390..0x394].Clear();
        second[0].SetRegisters(page);
        for (int i = 0; i < 3; i++)
        {
            _clock.Advance(1_000_000);
            Assert.Equal(periodic ? 0x61 : -1, second.Acknowledge(0));
            second[0].Write(0xb0, 4, 0);
        }
    }

    private LocalApics Create(int count) => new(_clock, [.. Enumerable.Range(0, count).Select(i => new ApicPins(_lines[2 * i], _lines[2 * i + 1]))]);

    private static void ReadIndirect(DeviceHarness script, string name, byte index)
    {
        script.Write("IOREGSEL", 0, 4, index);
        script.Read(name, 0x10, 4);
    }

    private static void WriteIndirect(DeviceHarness script, string name, byte index, uint value)
    {
        script.Write("IOREGSEL", 0, 4, index);
        script.Write(name, 0x10, 4, value);
    }
}
