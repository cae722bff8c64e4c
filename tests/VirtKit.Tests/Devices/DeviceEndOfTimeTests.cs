using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

/// <summary>A guest that has moved the machine's time close to its end must not make sums of times wrap: a deadline in the past would expire for ever.</summary>
public sealed class DeviceEndOfTimeTests
{
    public static TheoryData<string> Names => DeviceCatalog.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void Timers_NearTheEndOfTheClock_ComeToRest(string name)
    {
        var random = new Random(7);
        for (int run = 0; run < 40; run++)
        {
            // From the very end to some hours before it.
            using var wiring = new Wiring { Clock = new TestClock { Start = ulong.MaxValue - (ulong)random.NextInt64(1L << run) } };
            IDevice device = DeviceCatalog.Create(name, wiring);
            for (int i = 0; i < 300; i++)
            {
                DeviceContractTests.Access(device, random);
                // Fails where a timer is set again and again without time moving on.
                wiring.Clock.Advance((ulong)random.NextInt64(1L << random.Next(1, 30)));
            }

            wiring.Clock.Advance(ulong.MaxValue);
            (device as IDisposable)?.Dispose();
        }
    }

    [Theory]
    [InlineData("pit", new ulong[] { 0x34_03, 0x01_00, 0x00_00 })]
    [InlineData("cmos", new ulong[] { 0x0a_00, 0x26_01, 0x0b_00, 0x72_01 })]
    public void PeriodicTimer_AtTheEndOfTheClock_StopsInsteadOfRepeatingInThePast(string name, ulong[] writes)
    {
        using var wiring = new Wiring { Clock = new TestClock { Start = ulong.MaxValue - 1_000_000 } };
        IDevice device = DeviceCatalog.Create(name, wiring);
        foreach (ulong write in writes)
        {
            lock (device)
                device.Write(write & 0xff, 1, write >> 8);
        }

        wiring.Clock.Advance(ulong.MaxValue);
        Assert.Equal(ulong.MaxValue, wiring.Clock.Now);
        Assert.Equal(0, wiring.Clock.Pending);
        (device as IDisposable)?.Dispose();
    }

    [Fact]
    public void VirtioTurn_AtTheEndOfTheClock_DoesNotRepeatInThePast()
    {
        var clock = new TestClock { Start = ulong.MaxValue - 5_000 };
        Assert.Equal(ulong.MaxValue, clock.After(10_000));
        Assert.Equal(ulong.MaxValue - 1_000, clock.After(4_000));
        Assert.Equal(ulong.MaxValue, clock.After(ulong.MaxValue));
    }
}
