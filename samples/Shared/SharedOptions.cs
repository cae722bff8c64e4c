using System.CommandLine;
using System.CommandLine.Parsing;

namespace VirtKit.Samples;

/// <summary>The options that several samples have.</summary>
internal static class SharedOptions
{
    public static Option<string> Engine()
    {
        var option = new Option<string>("--engine") { Description = "What runs the guest", HelpName = "NAME", DefaultValueFactory = _ => EngineName.Default };
        option.AcceptOnlyFromAmong([.. EngineName.All]);
        return option;
    }

    public static Option<int> Cpus()
    {
        var option = new Option<int>("--cpus") { Description = "Number of vCPUs, 1 to 8", HelpName = "N", DefaultValueFactory = _ => 1 };
        option.Validators.Add(result => Check(result, result.GetValueOrDefault<int>() is >= 1 and <= 8, "--cpus takes 1 to 8."));
        return option;
    }

    public static Option<ulong> Memory(string size)
    {
        var option = new Option<ulong>("--memory")
        {
            Description = $"Guest memory with a suffix K, M or G; {size} by default",
            HelpName = "SIZE",
            CustomParser = Parse,
            DefaultValueFactory = _ => MemorySize.TryParse(size, out ulong bytes) ? bytes : 0,
        };
        return option;

        static ulong Parse(ArgumentResult result)
        {
            string text = result.Tokens[0].Value;
            if (!MemorySize.TryParse(text, out ulong bytes) || bytes == 0 || bytes % AddressSpace.PageSize != 0 || bytes > 64UL << 30)
                result.AddError($"--memory takes a size such as 512M, a multiple of 4K up to 64G, not '{text}'.");
            return bytes;
        }
    }

    private static void Check(OptionResult result, bool valid, string message)
    {
        if (!valid)
            result.AddError(message);
    }
}
