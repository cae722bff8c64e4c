using VirtKit.Devices;
using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>Hostile guests: random register accesses on every device, and broken virtqueues. A seed in <c>VIRTKIT_FUZZ_SEED</c> repeats a run, a number in
/// <c>VIRTKIT_FUZZ_CASES</c> changes its length.</summary>
[Collection(nameof(MemoryOfTheProcess))]
public sealed class DeviceFuzzTests(ITestOutputHelper output)
{
    private static readonly int Seed = Setting("VIRTKIT_FUZZ_SEED", Environment.TickCount & int.MaxValue);
    private static readonly int Cases = Setting("VIRTKIT_FUZZ_CASES", 100_000);

    public static TheoryData<string> Names => DeviceCatalog.Names;

    public static TheoryData<string> VirtioNames => DeviceCatalog.VirtioNames;

    [Theory]
    [MemberData(nameof(Names))]
    public void Registers_RandomAccesses_NeverThrow(string name)
    {
        output.WriteLine($"VIRTKIT_FUZZ_SEED={Seed}");
        var random = new Random(Seed);
        using var wiring = new Wiring { Console = new ErraticConsole(), Network = new ErraticNetwork() };
        IDevice device = DeviceCatalog.Create(name, wiring);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < Cases; i++)
        {
            DeviceContractTests.Access(device, random);
            if (random.Next(64) == 0)
                wiring.Clock.Advance((ulong)random.NextInt64(1_000_000_000));
            if (random.Next(4096) == 0)
                device.Reset();
        }

        Assert.True(GC.GetTotalMemory(forceFullCollection: true) - before < 64 << 20);
        (device as IDisposable)?.Dispose();
    }

    [Theory]
    [MemberData(nameof(VirtioNames))]
    public void Queues_HostileDriver_NeverThrowAndStayWithinRam(string name)
    {
        output.WriteLine($"VIRTKIT_FUZZ_SEED={Seed}");
        var random = new Random(Seed);
        using var wiring = new Wiring { Console = new ErraticConsole(), Network = new ErraticNetwork() };
        VirtioDevice device = DeviceCatalog.CreateVirtio(name, wiring);
        using var driver = new VirtioDriver(device);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        int broken = 0, completed = 0;
        for (int i = 0; i < Cases; i++)
        {
            if (i == 0 || driver.NeedsReset || random.Next(512) == 0)
                driver.Start(VirtioDriver.Version1Feature | (ulong)random.Next(4) << 28);
            int queue = random.Next(device.QueueSizes.Count);
            Scribble(driver, random, queue);
            driver.Notify(queue);
            broken += driver.NeedsReset ? 1 : 0;
            while (!driver.NeedsReset && random.Next(8) != 0 && driver.TryTakeUsed(queue, out _, out _))
                completed++;
            if (random.Next(16) == 0)
                DeviceContractTests.Access(driver.Transport, random);
            if (random.Next(256) == 0)
                driver.Clock.Advance(1_000_000);
        }

        output.WriteLine($"{Cases} notifications, {broken} broke the device, {completed} chains completed");
        Assert.True(broken > Cases / 100 && completed > Cases / 100);
        Assert.True(GC.GetTotalMemory(forceFullCollection: true) - before < 64 << 20);
    }

    /// <summary>Writes a chain that is sound in most places, and offers it.</summary>
    private static void Scribble(VirtioDriver driver, Random random, int queue)
    {
        ulong table = VirtioDriver.Descriptors(queue);
        int length = random.Next(1, 6), start = random.Next(driver.QueueSize);
        int readable = random.Next(length + 1);
        for (int i = 0; i < length; i++)
        {
            bool last = i + 1 == length;
            ushort flags = (ushort)((i >= readable ? VirtioDriver.Write : 0) | (last ? 0 : VirtioDriver.Next));
            ushort next = (ushort)((start + i + 1) % driver.QueueSize);
            ulong address = VirtioDriver.Ram + 0x8_0000 + (ulong)random.Next(0x4_0000);
            uint size = (uint)random.Next(random.Next(8) == 0 ? 4096 : 40);
            switch (random.Next(120))
            {
                case 0:
                    flags = (ushort)random.Next(8);
                    break;
                case 1:
                    next = (ushort)random.Next(0x10000);
                    break;
                case 2:
                    address = DeviceContractTests.Value(random);
                    break;
                case 3:
                    size = (uint)DeviceContractTests.Value(random);
                    break;
                case 4:
                    next = (ushort)start;
                    break;
                case 5:
                    flags = VirtioDriver.Indirect;
                    address = table;
                    size = (uint)random.Next(1, 17) * 16;
                    break;
            }

            driver.PutDescriptor(table, (start + i) % driver.QueueSize, address, size, flags, next);
            // A plausible request header: small numbers of a type and of a sector.
            if (i == 0 && address - VirtioDriver.Ram < VirtioDriver.RamSize - 16)
            {
                driver.Memory.TryWrite(new Gpa(address), (ulong)random.Next(16));
                driver.Memory.TryWrite(new Gpa(address + 8), random.Next(8) == 0 ? DeviceContractTests.Value(random) : (ulong)random.Next(2048));
            }
        }

        if (random.Next(100) == 0)
            driver.Memory.TryWrite(new Gpa(VirtioDriver.Available(queue) + (ulong)random.Next(16) * 2), (ushort)random.Next(0x10000));
        driver.Offer(queue, (ushort)(random.Next(100) == 0 ? random.Next(0x10000) : start));
    }

    private static int Setting(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise;
}
