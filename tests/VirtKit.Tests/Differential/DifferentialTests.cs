using VirtKit.Tests.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Random programs on QEMU and on every engine: all registers after every hundred instructions, every trap, and memory.</summary>
public sealed class DifferentialTests
{
    private const int Programs = 5, Segments = 250, SegmentLength = 100, Iterations = 9;

    [Fact]
    public async Task RandomInstructions_OnEveryEngine_AgreeWithQemu()
    {
        Random random = Seed.Random();
        long instructions = 0;
        for (int i = 0; i < Programs; i++)
        {
            var program = new GuestProgram(random, Segments, SegmentLength, Iterations);
            byte[] expected = await GuestRun.OnQemu(program.Image);
            foreach (string engine in RiscVEngines.All)
            {
                if (RunComparison.Difference(program, expected, GuestRun.OnEngine(engine, program.Image)) is not { } difference)
                    continue;
                string saved = Path.Combine(Path.GetTempPath(), $"virtkit-differential-{Guid.NewGuid():n}.bin");
                File.WriteAllBytes(saved, program.Image);
                Assert.Fail($"program {i} on {engine}, saved as {saved}:\n{await Minimise(program, engine) ?? difference}");
            }

            instructions += program.Instructions;
        }

        Assert.InRange(instructions, 1_000_000, long.MaxValue);
    }

    /// <summary>The difference in the shortest run of the program that shows one.</summary>
    private static async Task<string?> Minimise(GuestProgram program, string engine)
    {
        string? found = null;
        for (int agreed = 0, differs = program.Records; agreed + 1 < differs;)
        {
            int half = (agreed + differs) / 2;
            byte[] image = program.CutTo(half);
            string? difference = RunComparison.Difference(program, await GuestRun.OnQemu(image), GuestRun.OnEngine(engine, image));
            (agreed, differs, found) = difference is null ? (half, differs, found) : (agreed, half, difference);
        }

        return found;
    }
}
