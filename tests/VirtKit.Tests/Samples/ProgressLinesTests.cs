using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux.Terminal;

namespace VirtKit.Tests.Samples;

public sealed class ProgressLinesTests
{
    private const long Size = 100_000_000;

    [Fact]
    public void Report_IntoALog_WritesALineForATenth()
    {
        string[] lines = Lines(isTerminal: false).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["Looking", .. Enumerable.Range(1, 9).Select(i => $"kernel.deb: {i * 10}.0 MB, {i * 10,3} %"), "kernel.deb: 100.0 MB, 100 %", "small: 0.1 MB, 100 %", "unknown: 5.0 MB"], lines);
        Assert.DoesNotContain('\r', string.Join("", lines));
    }

    [Fact]
    public void Report_OnATerminal_RewritesItsLine()
    {
        string text = Lines(isTerminal: true);
        Assert.Equal(4, text.Count(c => c == '\n'));
        Assert.True(text.Count(c => c == '\r') > 1000);
    }

    private static string Lines(bool isTerminal)
    {
        var output = new StringWriter { NewLine = "\n" };
        var lines = new ProgressLines(output, isTerminal);
        lines.Report(new FetchProgress("Looking", 0, null, FetchProgressKind.Message));
        for (long received = 0; received <= Size; received += Size / 1000)
            lines.Report(new FetchProgress("kernel.deb", received, Size, FetchProgressKind.Receiving));
        lines.Report(new FetchProgress("kernel.deb", Size, Size, FetchProgressKind.Received));
        for (int i = 0; i < 100; i++)
            lines.Report(new FetchProgress("small", i * 1000, 100_000, FetchProgressKind.Receiving));
        lines.Report(new FetchProgress("small", 100_000, 100_000, FetchProgressKind.Received));
        lines.Report(new FetchProgress("unknown", 5_000_000, null, FetchProgressKind.Receiving));
        lines.Report(new FetchProgress("unknown", 5_000_000, null, FetchProgressKind.Received));
        return output.ToString();
    }
}
