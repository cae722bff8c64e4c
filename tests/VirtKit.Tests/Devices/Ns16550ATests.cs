using VirtKit.Devices;
using VirtKit.Devices.Consoles;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class Ns16550ATests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var console = new MemoryConsole();
        using var uart = new Ns16550A(console, new TestClock(), lines[0]);
        using var script = new DeviceHarness(uart, lines);
        script.Note("at power-on");
        foreach ((string name, ulong offset) in new (string, ulong)[] { ("RBR", 0), ("IER", 1), ("IIR", 2), ("LCR", 3), ("MCR", 4), ("LSR", 5), ("MSR", 6), ("SCR", 7) })
            script.Read(name, offset, 1);
        script.Note("a word access is four of a byte-wide chip on an ISA bus");
        script.Read("RBR", 0, 4);
        script.Note("scratch and divisor");
        script.Write("SCR", 7, 1, 0xa5);
        script.Read("SCR", 7, 1);
        script.Write("LCR", 3, 1, 0x83);
        script.Write("DLL", 0, 1, 0x02);
        script.Write("DLM", 1, 1, 0x01);
        script.Read("DLL", 0, 1);
        script.Read("DLM", 1, 1);
        script.Write("LCR", 3, 1, 0x03);
        script.Read("IER", 1, 1);
        script.Note("transmit interrupt: enabling raises it, reading IIR takes it back, writing THR raises it again");
        script.Write("FCR", 2, 1, 0x01);
        script.Write("IER", 1, 1, 0x02);
        script.Read("IIR", 2, 1);
        script.Read("IIR", 2, 1);
        script.Write("THR", 0, 1, 'o');
        script.Read("IIR", 2, 1);
        script.Write("THR", 0, 1, 'k');
        script.Write("IER", 1, 1, 0x00);
        script.Write("IER", 1, 1, 0x02);
        script.Note("receive: below the trigger level of 4 a timeout, from there on data available");
        script.Write("FCR", 2, 1, 0x41);
        script.Write("IER", 1, 1, 0x03);
        script.Event("type 'ab'", () => console.Type("ab"));
        script.Read("IIR", 2, 1);
        script.Event("type 'cd'", () => console.Type("cd"));
        script.Read("IIR", 2, 1);
        for (int i = 0; i < 4; i++)
            script.Read("RBR", 0, 1);
        script.Read("IIR", 2, 1);
        script.Read("IIR", 2, 1);
        script.Read("LSR", 5, 1);
        script.Note("loopback: modem outputs come back, transmitted bytes are received, the seventeenth overruns");
        script.Write("IER", 1, 1, 0x0d);
        script.Write("MCR", 4, 1, 0x1a);
        script.Read("MSR", 6, 1);
        script.Read("MSR", 6, 1);
        for (int i = 0; i < 17; i++)
            script.Write("THR", 0, 1, (ulong)(0x30 + i));
        script.Read("IIR", 2, 1);
        script.Read("LSR", 5, 1);
        script.Read("IIR", 2, 1);
        script.Write("FCR", 2, 1, 0x43);
        script.Read("IIR", 2, 1);
        script.Write("MCR", 4, 1, 0x00);
        script.Read("IIR", 2, 1);
        script.Read("MSR", 6, 1);
        script.Read("IIR", 2, 1);
        script.Note("output: " + console.Output);
        Snapshot.Verify(script.Transcript);
    }

    [Theory]
    [InlineData(UndeclaredAccess.Split, 2, 0x0100ul)]
    [InlineData(UndeclaredAccess.Pad, 2, 0x00ul)]
    [InlineData(UndeclaredAccess.Split, 4, 0x0301_0100ul)]
    [InlineData(UndeclaredAccess.Pad, 4, 0x00ul)]
    public void WideAccess_AsTheBoardConnectsIt_ReachesOneRegisterOrThemAll(UndeclaredAccess undeclared, int size, ulong expected)
    {
        using var uart = new Ns16550A(new MemoryConsole(), new TestClock(), default) { Undeclared = undeclared };
        var space = new AddressSpace();
        space.Map(new Gpa(0x3f8), uart);
        // IER 1, LCR 3: none of them is touched by a wide store to THR where the bus pads.
        Assert.True(space.TryStore(new Gpa(0x3fb), 1, 3) && space.TryStore(new Gpa(0x3f9), 1, 0));
        Assert.True(space.TryStore(new Gpa(0x3f8), 2, 0x0141));
        Assert.True(space.TryLoad(new Gpa(0x3f9), 1, out ulong enabled));
        Assert.Equal(undeclared == UndeclaredAccess.Split ? 1ul : 0, enabled);
        Assert.True(space.TryLoad(new Gpa(0x3f8), size, out ulong value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData(0x00, "B", 1)]
    [InlineData(0x01, "AB", 17)]
    public void Loopback_Overrun_LosesTheOldByteWithoutFifosAndTheNewOneWithThem(byte fcr, string kept, int bytes)
    {
        using var uart = new Ns16550A(new MemoryConsole(), new TestClock(), default);
        uart.Write(4, 1, 0x10);
        uart.Write(2, 1, fcr);
        uart.Write(0, 1, 'A');
        Assert.Equal(0x61ul, uart.Read(5, 1));
        for (int i = 0; i < bytes; i++)
            uart.Write(0, 1, 'B');
        Assert.Equal(0x63ul, uart.Read(5, 1));
        // Reading LSR has cleared OE.
        Assert.Equal(0x61ul, uart.Read(5, 1));
        Assert.Equal(kept, string.Concat(Enumerable.Range(0, kept.Length).Select(_ => (char)uart.Read(0, 1))));
        for (int i = kept.Length; i < Math.Min(bytes, 16); i++)
            Assert.Equal('B', (char)uart.Read(0, 1));
        Assert.Equal(0x60ul, uart.Read(5, 1));
    }

    [Fact]
    public void FifoControl_ClearBitsWithoutEnable_AreNotProgrammed()
    {
        using var uart = new Ns16550A(new MemoryConsole(), new TestClock(), default);
        uart.Write(4, 1, 0x10);
        uart.Write(0, 1, 'A');
        uart.Write(2, 1, 0x06);
        Assert.Equal(0x61ul, uart.Read(5, 1));
        uart.Write(2, 1, 0x01);
        Assert.Equal(0x60ul, uart.Read(5, 1));
        uart.Write(0, 1, 'B');
        uart.Write(2, 1, 0x03);
        Assert.Equal(0x60ul, uart.Read(5, 1));
        uart.Write(0, 1, 'C');
        uart.Write(2, 1, 0x00);
        Assert.Equal(0x60ul, uart.Read(5, 1));
    }

    [Fact]
    public void Transmit_ConsoleFull_WaitsAndGoesOn()
    {
        var lines = new TestLines();
        var console = new MemoryConsole(capacity: 4, ConsoleOverflow.Wait);
        using var uart = new Ns16550A(console, new TestClock(), lines[0]);
        uart.Write(2, 1, 0x01);
        uart.Write(1, 1, 0x02);
        foreach (char c in "abcdefgh")
            uart.Write(0, 1, c);
        Assert.Equal("abcd", console.Output);
        Assert.Equal(0u, uart.Read(5, 1) & 0x60);
        Assert.False(lines.IsAsserted(0));
        Assert.Equal("abcd"u8, console.TakeOutput());
        Assert.Equal("efgh", console.Output);
        Assert.Equal(0x60u, uart.Read(5, 1) & 0x60);
        Assert.True(lines.IsAsserted(0));
    }

    [Fact]
    public void Receive_MoreThanTheFifo_LosesNothing()
    {
        var console = new MemoryConsole();
        using var uart = new Ns16550A(console, new TestClock(), default);
        uart.Write(2, 1, 0x01);
        string text = string.Concat(Enumerable.Range(0, 100).Select(i => i + ","));
        console.Type(text);
        string received = "";
        while ((uart.Read(5, 1) & 1) != 0)
            received += (char)uart.Read(0, 1);
        Assert.Equal(text, received);
        Assert.Equal(0u, uart.Read(5, 1) & 2);
    }
}
