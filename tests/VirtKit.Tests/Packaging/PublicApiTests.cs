using System.Reflection;
using PublicApiGenerator;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Packaging;

public sealed class PublicApiTests
{
    private static readonly ApiGeneratorOptions Options = new()
    {
        IncludeAssemblyAttributes = false,
        ExcludeAttributes = ["System.Runtime.CompilerServices.CompilerGeneratedAttribute", "System.Runtime.CompilerServices.NullableContextAttribute"],
    };

    [Theory]
    [MemberData(nameof(Repository.Assemblies), MemberType = typeof(Repository))]
    public void PublicApi_OfAnAssembly_IsTheReviewedText(string assembly) => Snapshot.Verify(Assembly.Load(assembly).GeneratePublicApi(Options), assembly);

    [Fact]
    public void PublicApi_Text_NamesPublicMembersAndNoInternalOnes()
    {
        string text = typeof(Machine).Assembly.GeneratePublicApi(Options);
        Assert.Contains("public sealed class Machine", text, StringComparison.Ordinal);
        Assert.Contains("public VirtKit.VcpuExit Run(ulong budget", text, StringComparison.Ordinal);
        Assert.DoesNotContain("PendingStop", text, StringComparison.Ordinal);
        Assert.DoesNotContain("VirtualClock", text, StringComparison.Ordinal);
    }
}
