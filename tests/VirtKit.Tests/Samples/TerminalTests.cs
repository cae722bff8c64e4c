using System.Text;
using VirtKit.Devices.Consoles;
using VirtKit.Samples;
using VirtKit.Samples.BootLinux.Terminal;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Samples;

public sealed class TerminalTests
{
    [Theory]
    [InlineData("abc", "abc", 0)]
    [InlineData("a\u0001\u0001b", "a\u0001b", 0)]
    [InlineData("a\u0001qb", "a\u0001qb", 0)]
    [InlineData("a\u0001xb", "ab", 1)]
    [InlineData("xa\u0001", "xa", 0)]
    [InlineData("a\u0001sb", "ab", 0, 1)]
    public void EscapeStream_Keys_ComeThroughOrLeaveOrSave(string typed, string expected, int leaves, int saves = 0)
    {
        // As one read and key by key.
        foreach (int chunk in (int[])[64, 2])
        {
            int left = 0, saved = 0;
            using var keys = new MemoryStream(Encoding.Latin1.GetBytes(typed));
            using var stream = new EscapeStream(keys, () => left++, () => saved++);
            byte[] buffer = new byte[chunk];
            var got = new StringBuilder();
            for (int length; (length = stream.Read(buffer)) > 0;)
                got.Append(Encoding.Latin1.GetString(buffer, 0, length));
            Assert.Equal(expected, got.ToString());
            Assert.Equal((leaves, saves), (left, saved));
        }
    }

    [Theory]
    [InlineData("boot\u001b_virtkit:init\u001b\\shell", "bootshell", 1)]
    [InlineData("\u001b[1mbold\u001b_virt", "\u001b[1mbold", 0)]
    [InlineData("\u001b\u001b_virtkit:init\u001b\\", "\u001b", 1)]
    [InlineData("\u001b_virtkit:\u001b_virtkit:init\u001b\\!", "\u001b_virtkit:!", 1)]
    [InlineData("Run /init as init process", "Run /init as init process", 1)]
    [InlineData("\u001b_other\u001b\\", "\u001b_other\u001b\\", 0)]
    public void InitMarker_InOutput_IsSeenAndTakenOut(string output, string expected, int times)
    {
        foreach (int chunk in (int[])[64, 1])
        {
            int seen = 0;
            var marker = new InitMarker(() => seen++);
            var shown = new StringBuilder();
            foreach (byte[] bytes in Encoding.Latin1.GetBytes(output).Chunk(chunk))
                shown.Append(Encoding.Latin1.GetString(marker.Filter(bytes)));
            Assert.Equal(expected, shown.ToString());
            Assert.Equal(times, seen);
        }
    }

    [Fact]
    public void GuestConsoles_Keys_FollowTheGuestToItsVirtioConsole()
    {
        using var keys = new MemoryStream("k"u8.ToArray());
        using var screen = new MemoryStream();
        using var terminal = new StreamConsole(keys, screen);
        var consoles = new GuestConsoles(terminal, terminal.Write, () => { });
        byte[] buffer = new byte[8];
        consoles.Serial.Write("serial "u8);
        Assert.Equal(0, consoles.Virtio.Read(buffer));
        consoles.Virtio.Write("virtio"u8);
        Assert.True(consoles.Flush(TimeSpan.FromSeconds(10)));
        Assert.Equal(0, consoles.Serial.Read(buffer));
        Assert.True(SpinWait.SpinUntil(() => consoles.Virtio.Read(buffer) == 1, TimeSpan.FromSeconds(10)));
        Assert.Equal("serial virtio", Encoding.ASCII.GetString(screen.ToArray()));
    }

    [Fact]
    public void GuestConsoles_TerminalStandsStill_TakesSerialOutputAsAWholeOrNotAtAll()
    {
        using var screen = new StalledStream();
        using var terminal = new StreamConsole(null, screen, outputCapacity: 64);
        var consoles = new GuestConsoles(terminal, terminal.Write, () => { });
        byte[] line = Encoding.ASCII.GetBytes("0123456789abcdef"), sent = [];
        while (consoles.Serial.Write(line) is > 0 and int taken)
        {
            Assert.Equal(line.Length, taken);
            sent = [.. sent, .. line];
        }

        screen.Resume();
        Assert.True(SpinWait.SpinUntil(() => consoles.Flush(TimeSpan.FromSeconds(10)), TimeSpan.FromSeconds(10)));
        Assert.Equal(sent, screen.Written);
    }

    [Theory]
    [InlineData("4096", 4096UL)]
    [InlineData("64k", 65536UL)]
    [InlineData("512M", 512UL << 20)]
    [InlineData("2G", 2UL << 30)]
    public void MemorySize_WithSuffix_Parses(string text, ulong bytes)
    {
        Assert.True(MemorySize.TryParse(text, out MemorySize size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("M")]
    [InlineData("-1M")]
    [InlineData("1T")]
    [InlineData("1.5G")]
    [InlineData("99999999999999G")]
    public void MemorySize_Malformed_IsRefused(string text) => Assert.False(MemorySize.TryParse(text, out _));
}
