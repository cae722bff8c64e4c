using System.CommandLine;
using System.CommandLine.Parsing;

namespace VirtKit.Samples;

/// <summary>The options that several samples have.</summary>
internal static class SharedOptions
{
    /// <param name="others">Names beside those of <see cref="EngineName"/>.</param>
    public static Option<string> Engine(params string[] others)
    {
        var option = new Option<string>("--engine") { Description = "What runs the guest", HelpName = "NAME", DefaultValueFactory = _ => EngineName.Default };
        option.AcceptOnlyFromAmong([.. EngineName.All, .. others]);
        return option;
    }

    public static Option<int> Cpus()
    {
        var option = new Option<int>("--cpus") { Description = "Number of vCPUs, 1 to 8", HelpName = "N", DefaultValueFactory = _ => 1 };
        option.Validators.Add(result => Check(result, result.GetValueOrDefault<int>() is >= 1 and <= 8, "--cpus takes 1 to 8."));
        return option;
    }

    public static Option<MemorySize> Memory(MemorySize byDefault)
    {
        return new Option<MemorySize>("--memory")
        {
            Description = "Guest memory, with a suffix K, M or G",
            HelpName = "SIZE",
            CustomParser = Parse,
            DefaultValueFactory = _ => byDefault,
        };

        static MemorySize Parse(ArgumentResult result)
        {
            string text = result.Tokens[0].Value;
            if (!MemorySize.TryParse(text, out MemorySize size) || size.Bytes == 0 || size.Bytes > 64UL << 30)
                result.AddError($"--memory takes a size such as 512M, up to 64G, not '{text}'.");
            return size;
        }
    }

    /// <param name="byDefault">One of <see cref="GuestTime"/>'s names.</param>
    public static Option<string> Time(string byDefault)
    {
        var option = new Option<string>("--time")
        {
            Description = "The time that the guest sees: the host's, or virtual, counted in instructions, in which a run repeats exactly", HelpName = "host|virtual", DefaultValueFactory = _ => byDefault,
        };
        option.AcceptOnlyFromAmong(GuestTime.Host, GuestTime.Virtual);
        return option;
    }

    private static void Check(OptionResult result, bool valid, string message)
    {
        if (!valid)
            result.AddError(message);
    }
}
