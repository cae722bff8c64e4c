namespace VirtKit.Conformance;

/// <summary>Files of the external suite that announce what we have and are not expected to pass, each with its reason.</summary>
internal static class Exceptions
{
    public static IReadOnlyDictionary<string, string> Reasons { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["rv64mi-p-breakpoint"] = "needs the trigger registers of Sdtrig, which are not announced",
    };
}
