using System.Globalization;
using VirtKit.Boot.Linux;

namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>Writes how far a fetch is: on a terminal one line a file, which is rewritten; elsewhere, in a log, a line for each tenth of a large file, and one for each file.</summary>
internal sealed class ProgressLines(TextWriter output, bool isTerminal) : IProgress<FetchProgress>
{
    private const long LargeFile = 8 << 20;
    private string _file = "";
    private long _tenth;

    public void Report(FetchProgress value)
    {
        if (value.Kind == FetchProgressKind.Message)
        {
            output.WriteLine(value.What);
            return;
        }

        if (value.What != _file)
            (_file, _tenth) = (value.What, 0);
        string share = value.Size is > 0 and { } size ? string.Create(CultureInfo.InvariantCulture, $", {100 * value.Received / size,3} %") : "";
        string line = string.Create(CultureInfo.InvariantCulture, $"{value.What}: {value.Received / 1e6:0.0} MB{share}");
        if (value.Kind == FetchProgressKind.Received)
        {
            output.WriteLine(isTerminal ? "\r" + line : line);
            _file = "";
        }
        else if (isTerminal)
        {
            output.Write("\r" + line);
        }
        else if (value.Size is > LargeFile and { } whole && 10 * value.Received / whole is var tenth && tenth > _tenth && tenth < 10)
        {
            _tenth = tenth;
            output.WriteLine(line);
        }
    }
}
