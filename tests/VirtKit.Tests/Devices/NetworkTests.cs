using VirtKit.Devices.Networking;
using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

public sealed class NetworkTests
{
    private static readonly byte[] Broadcast = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    [Fact]
    public void Switch_UnknownThenLearned_FloodsThenForwards()
    {
        var hub = new NetworkSwitch();
        NetworkPort a = hub.AddPort(), b = hub.AddPort(), c = hub.AddPort();
        a.Send(Frame(Mac(2), Mac(1), 60));
        Assert.True(Take(b));
        Assert.True(Take(c));
        Assert.False(Take(a));
        b.Send(Frame(Mac(1), Mac(2), 60));
        Assert.True(Take(a));
        Assert.False(Take(c));
        c.Send(Frame(Broadcast, Mac(3), 60));
        Assert.True(Take(a));
        Assert.True(Take(b));
        b.Dispose();
        a.Send(Frame(Mac(2), Mac(1), 60));
        Assert.True(Take(c));
        Assert.False(Take(b));
    }

    [Fact]
    public void Switch_Flooded_DropsAndStaysBounded()
    {
        var hub = new NetworkSwitch();
        NetworkPort a = hub.AddPort(), b = hub.AddPort();
        for (int i = 0; i < 100_000; i++)
            a.Send(Frame(Broadcast, Mac(i), 1518));
        Assert.Equal(100_000 - NetworkPort.QueueLength, b.Dropped);
        int waiting = 0;
        while (Take(b))
            waiting++;
        Assert.Equal(NetworkPort.QueueLength, waiting);
        a.Send(new byte[1519]);
        a.Send(new byte[13]);
        Assert.False(Take(b));
    }

    [Fact]
    public void Port_HandlerThrows_IsToldAndGoesOn()
    {
        var hub = new NetworkSwitch();
        using NetworkPort a = hub.AddPort(), b = hub.AddPort();
        int calls = 0;
        b.FrameAvailable += () =>
        {
            Interlocked.Increment(ref calls);
            throw new InvalidOperationException("handler");
        };
        for (int i = 1; i <= 3; i++)
        {
            a.Send(Frame(Broadcast, Mac(1), 60));
            int round = i;
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref calls) >= round, TimeSpan.FromSeconds(20)));
        }

        Assert.True(SpinWait.SpinUntil(() => b.Failure is not null, TimeSpan.FromSeconds(20)));
        Assert.Equal("handler", b.Failure!.Message);
        b.Dispose();
        b.Dispose();
    }

    [Fact]
    public void Port_Unplugged_NeitherSendsNorReceives()
    {
        var hub = new NetworkSwitch();
        NetworkPort a = hub.AddPort(), b = hub.AddPort();
        int unplugged = 0;
        b.FrameAvailable += () => unplugged += b.IsConnected ? 0 : 1;
        a.Send(Frame(Broadcast, Mac(1), 60));
        b.Dispose();
        Assert.False(Take(b));
        Assert.True(unplugged > 0);
        b.Send(Frame(Broadcast, Mac(2), 60));
        Assert.False(Take(a));
        a.Send(Frame(Mac(2), Mac(1), 60));
        Assert.False(Take(b));
        Assert.Equal(0, b.Dropped);
    }

    /// <summary>Ports come and go while all of them send: no frame, handler or disposal waits for another for ever.</summary>
    [Fact]
    public async Task Switch_PortsComeAndGoWhileAllSend_GoesOn()
    {
        var hub = new NetworkSwitch();
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task[] workers = [.. Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            byte[] frame = Frame(Broadcast, Mac(worker), 64), received = new byte[INetworkBackend.MaximumFrameLength];
            for (int i = 0; i < 2000; i++)
            {
                using NetworkPort port = hub.AddPort();
                port.FrameAvailable += () => port.TryReceive(received, out _);
                for (int j = 0; j < 4; j++)
                    port.Send(frame);
            }
        }, cancellation))];
        await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(60), cancellation);
        using NetworkPort a = hub.AddPort(), b = hub.AddPort();
        a.Send(Frame(Broadcast, Mac(1), 60));
        Assert.True(Take(b));
    }

    [Fact]
    public void Net_FramesBothWays_CrossTheSwitch()
    {
        var hub = new NetworkSwitch();
        using VirtioDriver first = new VirtioDriver(new VirtioNet(hub.AddPort(), MacAddress.Local(1))).Start();
        using VirtioDriver second = new VirtioDriver(new VirtioNet(hub.AddPort(), MacAddress.Local(2))).Start();
        Assert.Equal([0x52, 0x54, 0, 0, 0, 1, 1, 0], Configuration(first));
        ulong buffer = second.Allocate(1530);
        second.Offer(0, 0, (buffer, 12, true), (buffer + 12, 1518, true));
        second.Notify(0);
        byte[] frame = Frame(Mac(2), Mac(1), 100);
        first.Offer(1, 0, (first.Allocate(new byte[12]), 12, false), (first.Allocate(frame), 100, false));
        first.Notify(1);
        Assert.Equal(0u, first.TakeUsed(1));
        uint length = 0;
        Assert.True(SpinWait.SpinUntil(() =>
        {
            lock (second.Transport)
                return second.TryTakeUsed(0, out _, out length);
        }, TimeSpan.FromSeconds(10)));
        Assert.Equal(112u, length);
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, .. frame], second.Bytes(buffer, 112));
    }

    [Fact]
    public async Task Net_TwoMachinesSendToEachOther_NeverLockUp()
    {
        var hub = new NetworkSwitch();
        using VirtioDriver first = new VirtioDriver(new VirtioNet(hub.AddPort(), MacAddress.Local(1))).Start();
        using VirtioDriver second = new VirtioDriver(new VirtioNet(hub.AddPort(), MacAddress.Local(2))).Start();
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task senders = Task.WhenAll(Task.Run(() => Send(first), cancellation), Task.Run(() => Send(second), cancellation));
        await senders.WaitAsync(TimeSpan.FromSeconds(60), cancellation);

        static void Send(VirtioDriver driver)
        {
            ulong frame = driver.Allocate([.. new byte[12], .. Frame(Broadcast, Mac(1), 64)]), buffer = driver.Allocate(1530);
            for (int i = 0; i < 20_000; i++)
            {
                driver.Offer(0, (ushort)(i % 16), (buffer, 1530, true));
                driver.Offer(1, (ushort)(i % 16), (frame, 76, false));
                driver.Notify(1);
                Assert.Equal(0u, driver.TakeUsed(1));
                if (i % 16 == 15)
                    driver.Start();
            }
        }
    }

    private static byte[] Configuration(VirtioDriver driver) =>
        [.. Enumerable.Range(0, 8).Select(i => driver.Memory.TryLoad(new Gpa(VirtioDriver.Device + 0x100 + (ulong)i), 1, out ulong value) ? (byte)value : (byte)0xff)];

    private static byte[] Mac(int number) => [0x52, 0x54, 0, (byte)(number >> 16), (byte)(number >> 8), (byte)number];

    private static byte[] Frame(byte[] destination, byte[] source, int length) => [.. destination, .. source, 8, 0, .. new byte[length - 14]];

    private static bool Take(NetworkPort port) => port.TryReceive(new byte[INetworkBackend.MaximumFrameLength], out _);

    [Fact]
    public void LinkStatus_ChangesOnTheHost_ShowsWithItsGenerationOnly()
    {
        var network = new PluggableNetwork();
        using VirtioDriver driver = new VirtioDriver(new VirtioNet(network, MacAddress.Local(1))).Start();
        uint generation = driver.Get(0xfc);
        Assert.Equal(1ul, Status(driver));
        network.IsConnected = false;
        // The host has not said so yet: value and generation are both as they were.
        Assert.Equal((1ul, generation), (Status(driver), driver.Get(0xfc)));
        network.Announce();
        Assert.Equal((0ul, generation + 1, 2u), (Status(driver), driver.Get(0xfc), driver.Get(0x60) & 2));
    }

    private static ulong Status(VirtioDriver driver)
    {
        Assert.True(driver.Memory.TryLoad(new Gpa(VirtioDriver.Device + 0x106), 2, out ulong status));
        return status;
    }

    private sealed class PluggableNetwork : INetworkBackend
    {
        public event Action? FrameAvailable;

        public bool IsConnected { get; set; } = true;

        public void Announce() => FrameAvailable?.Invoke();

        public void Send(ReadOnlySpan<byte> frame) { }

        public bool TryReceive(Span<byte> frame, out int length)
        {
            length = 0;
            return false;
        }
    }
}
