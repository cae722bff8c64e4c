using VirtKit.X86;

namespace VirtKit.Samples.BootLinux;

/// <summary>The processors of an x86-64 guest by the names that the option <c>--cpu</c> takes.</summary>
internal static class CpuName
{
    /// <summary>The host's processor as it is.</summary>
    public const string Host = "host";

    /// <summary>The host's, less what a nested KVM cannot emulate in ring 0.</summary>
    public const string Nested = "nested";

    public static IReadOnlyList<string> All { get; } = [Host, Nested, .. CpuidModel.All.Select(model => model.Name)];

    public static string Default => NestedHost.IsLikely ? Nested : Host;

    public static CpuidPolicy Create(string name) => name switch
    {
        Host => CpuidPolicy.Host,
        Nested => NestedHost.Policy,
        _ => CpuidPolicy.Model(CpuidModel.All.Single(model => model.Name == name)),
    };
}
