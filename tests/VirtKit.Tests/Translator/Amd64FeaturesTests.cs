using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Hosts.Amd64;

namespace VirtKit.Tests.Translator;

/// <summary>A program compiled ahead of time asks the processor itself what it has.</summary>
public sealed class Amd64FeaturesTests
{
    [Fact]
    public void Missing_OnThisHost_IsWhatTheRuntimeFound()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Skip("The host is no x86-64.");
        string missing = Amd64Features.Missing();
        Assert.True(missing.Length == 0 == Amd64Features.IsSupportedByRuntime, $"CPUID says that it lacks: {missing}");
    }
}
