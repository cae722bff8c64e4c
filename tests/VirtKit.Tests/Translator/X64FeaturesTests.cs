using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.X64;

namespace VirtKit.Tests.Translator;

/// <summary>A program compiled ahead of time asks the processor itself what it has.</summary>
public sealed class X64FeaturesTests
{
    [Fact]
    public void Missing_OnThisHost_IsWhatTheRuntimeFound()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Skip("The host is no x86-64.");
        string missing = X64Features.Missing();
        Assert.True(missing.Length == 0 == X64Features.IsSupportedByRuntime, $"CPUID says that it lacks: {missing}");
    }
}
