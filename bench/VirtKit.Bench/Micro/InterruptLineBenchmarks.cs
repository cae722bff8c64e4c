using BenchmarkDotNet.Attributes;

namespace VirtKit.Bench.Micro;

/// <summary>An edge on a line: what a device pays to tell its controller.</summary>
[MemoryDiagnoser]
public class InterruptLineBenchmarks
{
    private InterruptLine _line;

    /// <summary>Whether the line ends in a controller's input; a detached one does nothing.</summary>
    [Params(true, false)]
    public bool Connected { get; set; }

    [GlobalSetup]
    public void Connect() => _line = Connected ? new InterruptLine(new Levels(), 3) : default;

    /// <summary>Asserts and deasserts.</summary>
    [Benchmark]
    public void Pulse()
    {
        _line.Set(true);
        _line.Set(false);
    }

    private sealed class Levels : IInterruptSink
    {
        private uint _levels;

        public void SetInput(int input, bool level) => _levels = level ? _levels | 1u << input : _levels & ~(1u << input);
    }
}
