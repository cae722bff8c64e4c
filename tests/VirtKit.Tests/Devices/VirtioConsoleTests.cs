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
}
