using System.CommandLine;
using BenchmarkDotNet.Running;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>micro</c>: BenchmarkDotNet over the hot paths in <c>Micro</c>; it takes BenchmarkDotNet's own options.</summary>
internal static class MicroCommand
{
    public static Command Create()
    {
        var command = new Command("micro", "Micro-benchmarks; takes BenchmarkDotNet's options, for example --filter '*Mmio*' --job short.")
        {
            TreatUnmatchedTokensAsErrors = false,
        };
        command.SetAction(parsed =>
        {
            string[] options = [.. parsed.UnmatchedTokens];
            if (options.Length == 0)
                options = ["--filter", "*"];
            return BenchmarkSwitcher.FromAssembly(typeof(MicroCommand).Assembly).Run(options).All(s => !s.HasCriticalValidationErrors && s.Reports.Length > 0) ? 0 : 1;
        });
        return command;
    }
}
