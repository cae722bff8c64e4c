using System.Globalization;

namespace VirtKit.Tests.Support;

/// <summary>The seed of a randomised test: new in every run, or <c>VIRTKIT_SEED</c> to repeat one. It is printed, so that a failure can be.</summary>
internal static class Seed
{
    /// <summary>A generator whose seed has been written to the test's output.</summary>
    public static Random Random()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("VIRTKIT_SEED"), NumberStyles.Integer, CultureInfo.InvariantCulture, out int given)
            ? given
            : System.Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"VIRTKIT_SEED={seed}");
        return new Random(seed);
    }
}
