using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Tests.Support;

/// <summary>The engines that run RISC-V: what a test says about one it says about all. A new engine is one line here.</summary>
public static class RiscVEngines
{
    private static readonly Dictionary<string, Func<ExecutionEngine>> Known = new()
    {
        ["interpreter"] = () => new InterpreterEngine { Dispatch = InterpreterDispatch.TailThreaded },
        ["interpreter-loop"] = () => new InterpreterEngine { Dispatch = InterpreterDispatch.Loop },
        ["translator"] = () => new TranslatorEngine(),
    };

    /// <summary>The names of those that this host can run, for theories.</summary>
    public static TheoryData<string> Names => [.. All];

    internal static IEnumerable<string> All => Known.Keys.Where(name => Create(name).Supports(new RiscVArchitecture(), out _));

    internal static ExecutionEngine Create(string name) => Known[name]();
}
