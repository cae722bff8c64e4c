using System.Text;
using VirtKit.State;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>The kit for device models: the library's own devices go through it, and a device with a fault does not.</summary>
public sealed class DeviceHarnessTests
{
    private const string Script = """
        # squares
        w4 0 7 NUMBER
        r4 0 NUMBER
        +999
        r4 0 NUMBER
        +1
        r4 0 NUMBER
        w4 4 0 ACKNOWLEDGE
        r2 0 NUMBER
        ! pressed
        reset
        r4 0
        """;

    public static TheoryData<string> Names => DeviceCatalog.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void Device_OfTheLibrary_IsSavedAtEveryStep(string name) =>
        DeviceHarness.SnapshotAtEveryStep(harness => DeviceCatalog.Create(name, new Wiring(harness)), RandomScript(name));

    [Fact]
    public void Script_OfEveryKindOfStep_IsWrittenDown()
    {
        using var harness = new DeviceHarness(h => new Squarer(h, Fault.None));
        harness.On("pressed", () => harness.Lines[5].Set(true));
        harness.Run(Script);
        Snapshot.Verify(harness.Transcript + "\n" + harness.State);
    }

    [Fact]
    public void SnapshotAtEveryStep_OfADeviceThatSavesAll_Passes() => DeviceHarness.SnapshotAtEveryStep(Create(Fault.None), Script);

    [Theory]
    [InlineData(Fault.ForgetsNumber, "Step 2")]
    [InlineData(Fault.ForgetsTimer, "what is restored is not what was saved")]
    [InlineData(Fault.ForgetsLine, "lines [0] became []")]
    [InlineData(Fault.Throws, "the device threw InvalidOperationException: out of order")]
    public void SnapshotAtEveryStep_OfADeviceWithAFault_SaysWhatItIs(Fault fault, string message) =>
        Assert.Contains(message, Assert.Throws<DeviceTestException>(() => DeviceHarness.SnapshotAtEveryStep(Create(fault), Script)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("w4 0")]
    [InlineData("r3 0")]
    [InlineData("r4 zz")]
    [InlineData("+-1")]
    [InlineData("look")]
    [InlineData("w4 0 10000000000000000")]
    public void Script_WithALineThatIsNone_SaysWhich(string line) =>
        Assert.Contains("Line 3", Assert.Throws<FormatException>(() => DeviceScript.Parse($"# one\n\n{line}")).Message, StringComparison.Ordinal);

    [Fact]
    public void Harness_WithoutWhatAStepNeeds_SaysSo()
    {
        using var harness = new DeviceHarness(h => new FakeDevice());
        Assert.Contains("ISnapshotable", Assert.Throws<DeviceTestException>(() => harness.State).Message, StringComparison.Ordinal);
        Assert.Contains("\"cable out\"", Assert.Throws<DeviceTestException>(() => harness.Run("! cable out")).Message, StringComparison.Ordinal);
        ClockTimer timer = null!;
        timer = harness.Clock.CreateTimer(new object(), () => timer.Set(harness.Clock.Now));
        timer.Set(5);
        Assert.Contains("come to rest", Assert.Throws<DeviceTestException>(() => harness.Advance(10)).Message, StringComparison.Ordinal);
    }

    private static Func<DeviceHarness, IDevice> Create(Fault fault) => harness =>
    {
        harness.On("pressed", () => harness.Lines[5].Set(true));
        // What a button drives is not the device's.
        harness.On("pressed", () => { });
        return new Squarer(harness, fault);
    };

    /// <summary>Accesses to the first registers of the window, as wide as the device takes them, and time.</summary>
    private static string RandomScript(string name)
    {
        Random random = Seed.Random();
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        DeviceWindow window = device.Window;
        (device as IDisposable)?.Dispose();
        int size = (int)window.Widths & -(int)window.Widths;
        var text = new StringBuilder();
        for (int step = 0; step < 300; step++)
        {
            ulong offset = (ulong)random.NextInt64((long)Math.Min(window.Size, 0x200)) & ~((ulong)size - 1);
            text.Append(random.Next(10) switch
            {
                0 => $"+{random.NextInt64(3_000_000_000)}\n",
                1 when random.Next(10) == 0 => "reset\n",
                < 5 => $"r{size} {offset:x} R\n",
                _ => $"w{size} {offset:x} {(ulong)random.NextInt64() & (size == 8 ? ulong.MaxValue : (1UL << size * 8) - 1):x} W\n",
            });
        }

        return text.ToString();
    }

    public enum Fault
    {
        None,
        ForgetsNumber,
        ForgetsTimer,
        ForgetsLine,
        Throws,
    }

    /// <summary>Squares a number within a microsecond.</summary>
    private sealed class Squarer : IDevice, ISnapshotable, IDisposable
    {
        private readonly DeviceHarness _harness;
        private readonly Fault _fault;
        private readonly ClockTimer _timer;
        private uint _number;
        private ulong _due = ulong.MaxValue;
        private bool _done;

        public Squarer(DeviceHarness harness, Fault fault)
        {
            (_harness, _fault) = (harness, fault);
            _timer = harness.Clock.CreateTimer(this, () =>
            {
                (_number, _due) = (_number * _number, ulong.MaxValue);
                SetDone(true);
            });
        }

        public DeviceWindow Window => new("squarer", 8, AccessWidths.Word);

        public ulong Read(ulong offset, int size) => _fault == Fault.Throws ? throw new InvalidOperationException("out of order") : offset == 0 ? _number : 0;

        public void Write(ulong offset, int size, ulong value)
        {
            SetDone(false);
            if (offset != 0)
                return;
            _number = (uint)value;
            SetDue(_harness.Clock.After(1000));
        }

        public void Reset()
        {
            (_number, _due) = (0, ulong.MaxValue);
            _timer.Cancel();
            SetDone(false);
        }

        public void Visit(StateVisitor visitor)
        {
            (uint number, ulong due, bool done) = (_number, _due, _done);
            visitor.Version(1);
            if (_fault != Fault.ForgetsNumber)
                visitor.Field("number", ref number);
            visitor.Field("due", ref due);
            visitor.Field("done", ref done);
            if (!visitor.IsReading)
                return;
            (_number, _due) = (number, _fault == Fault.ForgetsTimer ? ulong.MaxValue : due);
            _timer.Set(_due);
            if (_fault == Fault.ForgetsLine)
                _done = done;
            else
                SetDone(done);
        }

        public void Dispose() => _timer.Dispose();

        private void SetDue(ulong due) => _timer.Set(_due = due);

        private void SetDone(bool done) => _harness.Lines[0].Set(_done = done);
    }
}
