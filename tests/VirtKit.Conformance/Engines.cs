using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Conformance;

/// <summary>The engines that every guest has to pass on.</summary>
internal static class Engines
{
    private static readonly ExecutionEngine[] Known = [new InterpreterEngine(), new TranslatorEngine()];

    /// <summary>The names of those that run RISC-V on this host.</summary>
    public static IEnumerable<string> Names => Known.Where(engine => engine.Supports(new RiscVArchitecture(), out _)).Select(engine => engine.Name);

    public static ExecutionEngine Get(string name) => Known.Single(engine => engine.Name == name);
}
