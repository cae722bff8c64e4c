using System.Globalization;

namespace VirtKit.Tests.Support;

/// <summary>The seed of a randomised test: new in every run, or <c>VIRTKIT_SEED</c> to repeat one. It is printed, so that a failure can be.</summary>
internal static class Seed
{
    /// <summary>A generator whose seed has been written to the test's output.</summary>
    public static Random Random() => Create(System.Random.Shared.Next());

    /// <summary>The same with one seed in every usual run, so that a usual run always does the same work; a soak takes a new one.</summary>
    public static Random Usual(int seed) => Create(Soak.Time is null ? seed : System.Random.Shared.Next());

    private static Random Create(int usual)
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("VIRTKIT_SEED"), NumberStyles.Integer, CultureInfo.InvariantCulture, out int given)
            ? given
            : usual;
        TestContext.Current.TestOutputHelper?.WriteLine($"VIRTKIT_SEED={seed}");
        return new Random(seed);
    }
}
