using VirtKit.Devices.Consoles;
using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

public sealed class VirtioConsoleTests
{
    [Fact]
    public void Transmit_ConsoleFull_TakesUpWhereItStopped()
    {
        var console = new MemoryConsole(capacity: 5, ConsoleOverflow.Wait);
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        driver.Offer(1, 0, (driver.Allocate("hel"u8), 3, false), (driver.Allocate("lo world"u8), 8, false));
        driver.Notify(1);
        Assert.False(driver.TryTakeUsed(1, out _, out _));
        string output = "";
        for (int i = 0; i < 3; i++)
            output += System.Text.Encoding.ASCII.GetString(console.TakeOutput());
        Assert.Equal("hello world", output);
        Assert.Equal(0u, driver.TakeUsed(1));
    }

    [Fact]
    public void Receive_InputBeforeAndAfterBuffers_Arrives()
    {
        var console = new MemoryConsole();
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        console.Type("early");
        ulong buffer = driver.Allocate(16), other = driver.Allocate(16);
        driver.Offer(0, 0, (buffer, 3, true));
        driver.Notify(0);
        Assert.Equal(3u, driver.TakeUsed(0));
        driver.Offer(0, 1, (other, 16, true));
        driver.Notify(0);
        Assert.Equal(2u, driver.TakeUsed(0));
        Assert.Equal("ear"u8, driver.Bytes(buffer, 3));
        Assert.Equal("ly"u8, driver.Bytes(other, 2));
        driver.Offer(0, 2, (other, 16, true));
        driver.Notify(0);
        Assert.False(driver.TryTakeUsed(0, out _, out _));
        console.Type("late");
        Assert.Equal(4u, driver.TakeUsed(0));
    }

    [Fact]
    public void Resize_WhileRunning_InterruptsForConfiguration()
    {
        var console = new MemoryConsole();
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        uint generation = driver.Get(0xfc);
        console.Resize(new ConsoleSize(132, 50));
        Assert.Equal(2u, driver.Get(0x60));
        Assert.Equal(132u | 50u << 16, driver.Get(0x100));
        Assert.Equal(generation + 1, driver.Get(0xfc));
    }

    [Fact]
    public void Transmit_QueueStoppedInTheMiddleOfAChain_NextOneGoesOutWhole()
    {
        var console = new MemoryConsole(capacity: 3, ConsoleOverflow.Wait);
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        driver.Offer(1, 0, (driver.Allocate("abcdef"u8), 6, false));
        driver.Notify(1);
        Assert.Equal("abc", console.Output);
        // The driver gives the queue up and sets it up anew.
        driver.StopQueue(1);
        Assert.Equal(0u, driver.Get(0x44));
        Assert.Equal("abc"u8, console.TakeOutput());
        driver.SetUpQueue(1);
        driver.Offer(1, 0, (driver.Allocate("xyz"u8), 3, false));
        driver.Notify(1);
        Assert.Equal("xyz", console.Output);
        Assert.Equal(0u, driver.TakeUsed(1));
    }

    [Fact]
    public void Resize_SeenByADriver_IsOneStepWithItsGeneration()
    {
        var console = new ResizingConsole();
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        uint generation = driver.Get(0xfc);
        bool gateHeld = false;
        console.Asked = () => gateHeld = Monitor.IsEntered(driver.Transport);
        console.Resize(new ConsoleSize(132, 50));
        // No register is read between the new value and its generation: both come about while the device holds its gate.
        Assert.True(gateHeld);
        Assert.Equal(generation + 1, driver.Get(0xfc));
        Assert.Equal(132u | 50u << 16, driver.Get(0x100));
    }

    [Fact]
    public void Resize_WithoutAChange_CountsNothing()
    {
        var console = new MemoryConsole();
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start();
        uint generation = driver.Get(0xfc);
        console.Type("x");
        console.Resize(default);
        Assert.Equal((generation, 0u), (driver.Get(0xfc), driver.Get(0x60) & 2));
    }

    [Fact]
    public void Resize_BeforeTheDriverIsReady_IsToldWhenItIs()
    {
        var console = new MemoryConsole();
        using var driver = new VirtioDriver(new VirtioConsole(console));
        driver.Negotiate(VirtioDriver.Version1Feature);
        console.Resize(new ConsoleSize(80, 25));
        Assert.Equal(0u, driver.Get(0x60));
        Assert.False(driver.Lines.IsAsserted(0));
        driver.Set(0x70, 0xf);
        Assert.Equal(2u, driver.Get(0x60));
        // It was for that driver only.
        driver.Start();
        Assert.Equal(0u, driver.Get(0x60));
    }

    private sealed class ResizingConsole : IConsoleBackend
    {
        private ConsoleSize _size;

        public event Action? Changed;

        public Action Asked { get; set; } = () => { };

        public ConsoleSize Size
        {
            get
            {
                Asked();
                return _size;
            }
        }

        public void Resize(ConsoleSize size)
        {
            _size = size;
            Changed?.Invoke();
        }

        public int Write(ReadOnlySpan<byte> bytes) => bytes.Length;

        public int Read(Span<byte> buffer) => 0;
    }
}
