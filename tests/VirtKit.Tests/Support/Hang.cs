namespace VirtKit.Tests.Support;

/// <summary>When a test counts as hung. No test takes nearly as long, on a slow machine beside other load neither: speed is never what is asserted.</summary>
internal static class Hang
{
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
}
