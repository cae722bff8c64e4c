using System.Globalization;
using System.Text;
using VirtKit.State;

namespace VirtKit.Testing;

/// <summary>A device on a bus of its own, with a clock that the test moves and lines that remember: accesses it as a guest does, and writes down what was done, what came back and which
/// lines are asserted. For any test framework, and made for snapshot tools such as Verify: <see cref="Transcript"/> and <see cref="State"/> are stable text.</summary>
/// <remarks>Used by one thread. The device is disposed of with it, if it can be.</remarks>
/// <example>
/// <code>
/// using var test = new VirtKit.Testing.DeviceHarness(h => new VirtKit.Devices.GoldfishRtc(h.Clock, h.Lines[0]));
/// test.Read("TIME_LOW", 0, 4);
/// test.Advance(1_000_000_000);
/// Console.WriteLine(test.Transcript);
/// </code>
/// </example>
public sealed class DeviceHarness : IDisposable
{
    private static readonly Gpa Start = new(0x1000_0000);

    private readonly AddressSpace _bus = new();
    private readonly StringBuilder _text = new();
    private readonly Dictionary<string, Action> _events = [];
    private Exception? _failure;

    /// <summary>Puts a device on the bus.</summary>
    /// <param name="create">Makes the device, wired to the harness's <see cref="Clock"/>, <see cref="Lines"/> and <see cref="Memory"/>.</param>
    public DeviceHarness(Func<DeviceHarness, IDevice> create)
        : this(create, new TestClock())
    {
    }

    /// <summary>Puts a device on the bus that is wired already.</summary>
    /// <param name="device">The device.</param>
    /// <param name="lines">The lines that it has.</param>
    /// <param name="clock">The clock that it has; <see langword="null"/> for none.</param>
    public DeviceHarness(IDevice device, TestLines lines, TestClock? clock = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(lines);
        (Lines, Clock) = (lines, clock ?? new TestClock());
        Device = Attach(device);
    }

    private DeviceHarness(Func<DeviceHarness, IDevice> create, TestClock clock)
    {
        ArgumentNullException.ThrowIfNull(create);
        Clock = clock;
        Lines = new TestLines();
        Device = Attach(create(this));
    }

    /// <summary>The machine's time, as the device knows it.</summary>
    public TestClock Clock { get; }

    /// <summary>Where the device's interrupt lines end.</summary>
    public TestLines Lines { get; }

    /// <summary>Memory for a device's DMA, empty at first. <see cref="SnapshotAtEveryStep(Func{DeviceHarness, IDevice}, string)"/> carries its content over.</summary>
    public AddressSpace Memory { get; } = new();

    /// <summary>The device.</summary>
    public IDevice Device { get; }

    /// <summary>What was done so far, a line each: reads and writes with offset, name and value, events, and behind each the asserted lines.</summary>
    public string Transcript => _text.ToString().TrimStart('\n');

    /// <summary>The device's state, a line a field.</summary>
    /// <exception cref="DeviceTestException">The device cannot be saved.</exception>
    public string State => StateText.Of(Snapshotable);

    private ISnapshotable Snapshotable => Device as ISnapshotable ?? throw new DeviceTestException($"{Device.GetType().Name} cannot be saved: it is no {nameof(ISnapshotable)}.");

    /// <summary>Reads a register, and writes it down.</summary>
    /// <param name="name">The register's name, for the transcript.</param>
    /// <param name="offset">Its offset in the device's window.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <returns>What came back; all ones where the access is refused.</returns>
    /// <exception cref="DeviceTestException">The device threw.</exception>
    public ulong Read(string name, ulong offset, int size)
    {
        bool isAnswered = _bus.TryLoad(Start + offset, size, out ulong value);
        Line('R', name, offset, size, isAnswered ? "-> " + Hex(value, size) : "-> fault");
        return value;
    }

    /// <summary>Writes a register, and writes that down.</summary>
    /// <param name="name">The register's name, for the transcript.</param>
    /// <param name="offset">Its offset in the device's window.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="DeviceTestException">The device threw.</exception>
    public void Write(string name, ulong offset, int size, ulong value)
    {
        bool isAnswered = _bus.TryStore(Start + offset, size, value);
        Line('W', name, offset, size, "<- " + Hex(value, size) + (isAnswered ? "" : " fault"));
    }

    /// <summary>Lets time pass.</summary>
    /// <param name="nanoseconds">How much.</param>
    public void Advance(ulong nanoseconds) => Event(string.Create(CultureInfo.InvariantCulture, $"{nanoseconds} ns later"), () => Clock.Advance(nanoseconds));

    /// <summary>Resets the device, as its machine does.</summary>
    public void Reset() => Event("reset", () =>
    {
        lock (Device)
            Device.Reset();
    });

    /// <summary>Does something that happens outside the registers, and writes it down.</summary>
    /// <param name="text">What it is.</param>
    /// <param name="action">Does it.</param>
    public void Event(string text, Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        action();
        _text.Append(CultureInfo.InvariantCulture, $"! {text,-44} lines [{Lines}]\n");
        Check(text);
    }

    /// <summary>Writes a remark down.</summary>
    public void Note(string text) => _text.Append("\n# ").Append(text).Append('\n');

    /// <summary>Gives an event a name, for scripts.</summary>
    /// <param name="name">The name behind <c>!</c>.</param>
    /// <param name="action">Does it.</param>
    public void On(string name, Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        _events[name] = action;
    }

    /// <summary>Runs a script (<see cref="DeviceScript"/>).</summary>
    /// <param name="script">The text.</param>
    /// <exception cref="FormatException">A line that is none; the message has its number.</exception>
    /// <exception cref="DeviceTestException">The device threw, or an event has no action.</exception>
    public void Run(string script)
    {
        foreach (Action<DeviceHarness> step in DeviceScript.Parse(script))
            step(this);
    }

    /// <summary>Runs a script on a device that is saved, and restored into a new one, behind each of its steps: all must go as on one that was left alone.</summary>
    /// <param name="create">Makes a device.</param>
    /// <param name="script">The script (<see cref="DeviceScript"/>).</param>
    /// <exception cref="DeviceTestException">A restored device does something else, or is saved otherwise than it was; or the device threw.</exception>
    /// <exception cref="FormatException">A line that is none.</exception>
    public static void SnapshotAtEveryStep(Func<DeviceHarness, IDevice> create, string script) => SnapshotAtEveryStep(create, DeviceScript.Parse(script));

    /// <inheritdoc cref="SnapshotAtEveryStep(Func{DeviceHarness, IDevice}, string)"/>
    /// <param name="create">Makes a device.</param>
    /// <param name="steps">The script's steps, which take everything from the harness that they are given.</param>
    public static void SnapshotAtEveryStep(Func<DeviceHarness, IDevice> create, IReadOnlyList<Action<DeviceHarness>> steps)
    {
        ArgumentNullException.ThrowIfNull(create);
        ArgumentNullException.ThrowIfNull(steps);
        using var whole = new DeviceHarness(create);
        var part = new DeviceHarness(create);
        try
        {
            for (int i = 0; i < steps.Count; i++)
            {
                int begin = whole._text.Length;
                steps[i](whole);
                steps[i](part);
                string expected = whole._text.ToString(begin, whole._text.Length - begin), was = part._text.ToString();
                if (expected != was)
                    throw new DeviceTestException($"Step {i}: a device that was restored before it does\n{was}and one that was not\n{expected}");
                byte[] saved = StateWriter.Save(part.Snapshotable);
                var next = new DeviceHarness(create, new TestClock { Start = part.Clock.Now });
                next.CopyMemory(part.Memory);
                StateReader.Restore(next.Snapshotable, saved);
                if (!saved.AsSpan().SequenceEqual(StateWriter.Save(next.Snapshotable)))
                    throw new DeviceTestException($"Step {i}: what is restored is not what was saved:\n{part.State}became\n{next.State}");
                if (next.Lines.ToString() != part.Lines.ToString())
                    throw new DeviceTestException($"Step {i}: the lines [{part.Lines}] became [{next.Lines}].");
                part.Dispose();
                part = next;
            }
        }
        finally
        {
            part.Dispose();
        }
    }

    /// <summary>Disposes of the device, if it can be.</summary>
    public void Dispose()
    {
        (Device as IDisposable)?.Dispose();
        _bus.Release();
        Memory.Release();
    }

    internal void RunEvent(string name)
    {
        if (!_events.TryGetValue(name, out Action? action))
            throw new DeviceTestException($"The script has the event \"{name}\", and the harness no action for it ({nameof(On)}).");
        Event(name, action);
    }

    private IDevice Attach(IDevice device)
    {
        _bus.DeviceFailed += (_, error) => _failure ??= error;
        _bus.Map(Start, device);
        return device;
    }

    private void CopyMemory(AddressSpace from)
    {
        foreach (MemoryRegion region in from.Regions.Where(region => region.IsMemory))
        {
            MemoryRegion? own = Memory.Find(region.Start);
            if (own is null || own.Size != region.Size)
                own = region.IsWritable ? Memory.MapRam(region.Start, region.Size, region.Name) : Memory.MapRom(region.Start, region.Size, region.Name);
            foreach ((long offset, long length) in region.Memory!.DataRanges())
            {
                byte[] content = new byte[length];
                from.Read(region.Start + (ulong)offset, content);
                Memory.Write(region.Start + (ulong)offset, content);
            }
        }
    }

    private void Line(char kind, string name, ulong offset, int size, string result)
    {
        _text.Append(CultureInfo.InvariantCulture, $"{kind}{size} {offset,8:x} {name,-14} {result,-20} lines [{Lines}]\n");
        Check(name);
    }

    private void Check(string step)
    {
        if (_failure is { } failure)
            throw new DeviceTestException($"{step}: the device threw {failure.GetType().Name}: {failure.Message}", failure);
    }

    private static string Hex(ulong value, int size) => value.ToString("x" + size * 2, CultureInfo.InvariantCulture);
}
