using System.Reflection;
using System.Runtime.CompilerServices;
using VirtKit.Devices;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.State;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>What a device saves is all that decides what the guest sees next: proven for every device of the catalogue.</summary>
public sealed class DeviceStateTests
{
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    public static TheoryData<string> Names => DeviceCatalog.Names;

    [Fact]
    public void Devices_OfTheLibrary_CanAllBeSaved() =>
        Assert.All(typeof(Ns16550A).Assembly.GetTypes().Where(t => t is { IsClass: true, IsAbstract: false } && t.IsAssignableTo(typeof(IDevice))), t => Assert.True(t.IsAssignableTo(typeof(ISnapshotable)), t.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void Device_SavedAndRestoredAtEveryStep_GoesOnAsIfItWasNot(string name)
    {
        const int Steps = 400;
        int seed = Seed.Random().Next();
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        var script = new Random(seed);
        for (int step = 0; step < Steps; step++)
        {
            // The one that is restored begins as something else.
            using var other = new Wiring { Clock = new TestClock { Start = wiring.Clock.Now } };
            IDevice twin = DeviceCatalog.Create(name, other);
            for (int i = 0; i < 3; i++)
                DeviceContractTests.Access(twin, script);
            byte[] saved = Save(device), time = StateWriter.Save(wiring.Timebase);
            StateReader.Restore(other.Timebase, time);
            StateReader.Restore((ISnapshotable)twin, saved);
            Assert.True(saved.AsSpan().SequenceEqual(Save(twin)), $"seed {seed}, step {step}: restored is not what was saved\n{StateText.Of((ISnapshotable)device)}\n{StateText.Of((ISnapshotable)twin)}");
            Assert.True(wiring.Lines.ToString() == other.Lines.ToString() || name is "ioapic", $"seed {seed}, step {step}: lines {wiring.Lines} and {other.Lines}");
            int next = script.Next();
            ulong pause = script.Next(4) == 0 ? (ulong)script.NextInt64(3_000_000_000) : 0;
            Assert.Equal(Continue(device, wiring, next, pause), Continue(twin, other, next, pause));
            Assert.True(Save(device).AsSpan().SequenceEqual(Save(twin)), $"seed {seed}, step {step}: goes on otherwise\n{StateText.Of((ISnapshotable)device)}\n{StateText.Of((ISnapshotable)twin)}");
            (twin as IDisposable)?.Dispose();
        }

        (device as IDisposable)?.Dispose();

        static string Continue(IDevice device, Wiring wiring, int seed, ulong pause)
        {
            var random = new Random(seed);
            wiring.Clock.Advance(pause);
            string reads = "";
            DeviceWindow window = device.Window;
            int size = (int)window.Widths & -(int)window.Widths;
            for (int i = 0; i < 4; i++)
            {
                DeviceContractTests.Access(device, random);
                ulong offset = (ulong)random.NextInt64((long)Math.Min(window.Size, 0x200)) & ~((ulong)size - 1);
                lock (device)
                    reads += $"{offset:x}:{device.Read(offset, size):x} ";
            }

            return reads + wiring.Lines;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Field_OfAState_IsSaved(string name)
    {
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        string before = Text(device);
        foreach ((string path, Action change, Action back) in Leaves(device, name, []))
        {
            change();
            Assert.True(Text(device) != before, $"{path} is not saved");
            back();
            Assert.Equal(before, Text(device));
        }
    }

    [Fact]
    public void States_OfDevices_HaveNoReferences()
    {
        Type[] states = [.. typeof(Ns16550A).Assembly.GetTypes().Where(t => t.IsValueType && t.Name.EndsWith("State", StringComparison.Ordinal))];
        Assert.InRange(states.Length, 14, 100);
        Assert.All(states, type => Assert.False(HasReference(type), $"{type} holds a reference, which a copy would share"));

        static bool HasReference(Type type) => !type.IsPrimitive && !type.IsEnum && (!type.IsValueType || type.GetFields(Fields).Any(field => HasReference(field.FieldType)));
    }

    /// <summary>Fields that devices have beside their wiring and their state have to be looked at: what the guest can see of them belongs into the state.</summary>
    [Fact]
    public void Fields_ThatChangeOutsideAState_AreKnown()
    {
        string[] known = ["VirtioMmio.IsDisposed", "VirtioDevice._transport"];
        IEnumerable<string> found =
            from row in Names
            let device = DeviceCatalog.Create(row.Data, new Wiring())
            from type in (Type[])[device.GetType(), .. device is VirtioMmio ? Virtio(device) : []]
            from field in type.GetFields(Fields | BindingFlags.DeclaredOnly)
            where !field.IsInitOnly && !field.Name.EndsWith(">P", StringComparison.Ordinal) && !field.FieldType.Name.TrimEnd('[', ']').EndsWith("State", StringComparison.Ordinal)
            let property = field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)] : field.Name
            where !(field.Name.StartsWith('<') && type.GetProperty(property)?.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true)
            select $"{type.Name}.{property}";
        Assert.Subset(known.ToHashSet(), found.ToHashSet());

        static IEnumerable<Type> Virtio(IDevice transport)
        {
            Type? type = typeof(VirtioMmio).GetField("_device", Fields)!.GetValue(transport)!.GetType();
            for (; type is not null && type != typeof(object); type = type.BaseType)
                yield return type;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Restore_OfDamagedBytes_IsRefusedOrContained(string name)
    {
        Random random = Seed.Random();
        using var wiring = new Wiring();
        wiring.Memory.DeviceFailed += (_, e) => Assert.Fail(e.ToString());
        IDevice device = DeviceCatalog.Create(name, wiring);
        int refused = 0;
        for (int round = 0; round < 600; round++)
        {
            for (int i = 0; i < 5; i++)
                DeviceContractTests.Access(device, random);
            byte[] saved = Save(device);
            switch (random.Next(4))
            {
                case 0:
                    saved = saved[..random.Next(saved.Length)];
                    break;
                case 1:
                    int cut = random.Next(saved.Length);
                    saved = [.. saved[..cut], .. saved[random.Next(saved.Length)..]];
                    break;
                default:
                    for (int flips = random.Next(1, 4); flips > 0; flips--)
                        saved[random.Next(saved.Length)] ^= (byte)(1 << random.Next(8));
                    break;
            }

            byte[] before = Save(device);
            try
            {
                StateReader.Restore((ISnapshotable)device, saved);
            }
            catch (InvalidSnapshotException e)
            {
                refused++;
                Assert.NotEmpty(e.Message);
                // Bytes behind the last field are found when all others have been taken.
                if (!e.Message.Contains("behind the last field", StringComparison.Ordinal))
                    Assert.Equal(before, Save(device));
            }

            for (int i = 0; i < 30; i++)
                DeviceContractTests.Access(device, random);
            wiring.Clock.Advance(100_000);
        }

        Assert.True(refused > 100, $"{refused} refused");
        (device as IDisposable)?.Dispose();
    }

    [Fact]
    public void VirtioBlock_RestoredBetweenRequests_ServesTheNextOne()
    {
        var backend = new MemoryBlockBackend(1 << 16);
        byte[] sector = [.. Enumerable.Range(0, 512).Select(i => (byte)i)];
        backend.Write(512, sector);
        using var driver = new VirtioDriver(new VirtioBlock(backend)).Start();
        byte[] saved = StateWriter.Save(driver.Transport);
        ulong header = driver.Allocate([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), data = driver.Allocate(512), status = driver.Allocate(1);
        Request();
        Assert.Equal(sector, driver.Bytes(data, 512));

        // As it was before the request, the device finds that request again.
        driver.Memory.Write(new Gpa(data), new byte[512]);
        StateReader.Restore(driver.Transport, saved);
        driver.Notify(0);
        Assert.Equal(sector, driver.Bytes(data, 512));

        // A ready queue whose rings are not in memory is no state.
        Assert.Contains("ready = 1", StateText.Of(driver.Transport), StringComparison.Ordinal);
        byte[] before = StateWriter.Save(driver.Transport);
        ReadOnlySpan<byte> name = "descriptors"u8;
        int value = saved.AsSpan().IndexOf(name) + name.Length + 5;
        Assert.Equal(VirtioDriver.Descriptors(0), BitConverter.ToUInt64(saved, value));
        saved[value + 6] = 1;
        string message = Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(driver.Transport, saved)).Message;
        Assert.Contains("queue0", message, StringComparison.Ordinal);
        Assert.Equal(before, StateWriter.Save(driver.Transport));

        void Request()
        {
            driver.Offer(0, 0, (header, 16, false), (data, 512, true), (status, 1, true));
            driver.Notify(0);
        }
    }

    private static byte[] Save(IDevice device)
    {
        lock (device)
            return StateWriter.Save((ISnapshotable)device);
    }

    private static string Text(IDevice device) => StateText.Of((ISnapshotable)device);

    /// <summary>Every number in the states of an object: how to change it, and how to change it back.</summary>
    private static IEnumerable<(string Path, Action Change, Action Back)> Leaves(object holder, string path, HashSet<object> seen)
    {
        if (!seen.Add(holder))
            yield break;
        // A controller's window has the one controller, the third window has both.
        bool isWhole = holder.GetType().Name != "I8259Chip";
        for (Type? type = holder.GetType(); type is not null; type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(Fields | BindingFlags.DeclaredOnly))
            {
                string name = $"{path}.{field.Name}";
                if (field.FieldType.IsValueType && field.FieldType.Name.EndsWith("State", StringComparison.Ordinal))
                {
                    foreach (var leaf in Leaves(field.FieldType, () => field.GetValue(holder)!, value => field.SetValue(holder, value), name))
                        yield return leaf;
                }
                else if (field.GetValue(holder) is Array array && array.GetType().GetElementType() is { IsValueType: true } element && element.Name.EndsWith("State", StringComparison.Ordinal))
                {
                    foreach (var leaf in Leaves(element, () => array.GetValue(array.Length - 1)!, value => array.SetValue(value, array.Length - 1), name))
                        yield return leaf;
                }
                else if (isWhole && field.GetValue(holder) is { } part && (part is VirtioDevice || part.GetType().Name is "ApicTimer" or "I8259" or "I8259Chip" or "I8254"))
                {
                    foreach (var leaf in Leaves(part, name, seen))
                        yield return leaf;
                }
                else if (field.GetValue(holder) is Virtqueue[] { Length: > 0 } queues)
                {
                    foreach (var leaf in Leaves(queues[^1], name, seen))
                        yield return leaf;
                }
            }
        }
    }

    private static IEnumerable<(string Path, Action Change, Action Back)> Leaves(Type type, Func<object> get, Action<object> set, string path)
    {
        if (type.IsPrimitive || type.IsEnum)
        {
            object before = get();
            object changed = type == typeof(bool) ? !(bool)before
                : type.IsEnum ? Enum.ToObject(type, Convert.ToUInt64(before) ^ 1)
                : type == typeof(long) || type == typeof(int) ? Convert.ChangeType(Convert.ToInt64(before) ^ 1, type)
                : Convert.ChangeType(Convert.ToUInt64(before) ^ 1, type);
            yield return (path, () => set(changed), () => set(before));
            yield break;
        }

        foreach (FieldInfo field in type.GetFields(Fields))
        {
            foreach (var leaf in Leaves(field.FieldType, () => field.GetValue(get())!, value => Put(field, value), $"{path}.{field.Name}"))
                yield return leaf;
        }

        void Put(FieldInfo field, object value)
        {
            object box = get();
            field.SetValue(box, value);
            set(box);
        }
    }
}
