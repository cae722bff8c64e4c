namespace VirtKit.Conformance;

/// <summary>Self-checking guests on every engine: our own, and every file of an external suite that lies in the folder <c>VIRTKIT_RISCV_TESTS</c>.</summary>
public sealed class ConformanceTests(GuestBuilder guests) : IClassFixture<GuestBuilder>
{
    private const string Variable = "VIRTKIT_RISCV_TESTS";
    private static readonly string? Folder = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } folder ? folder : null;

    /// <summary>Set (<c>own</c> or <c>suite</c>), name and engine.</summary>
    public static TheoryData<string, string, string> Guests
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (string engine in Engines.Names)
            {
                foreach (string name in GuestBuilder.Names)
                    data.Add("own", name, engine);
                foreach (string file in SuiteFiles())
                {
                    data.Add(new TheoryDataRow<string, string, string>("suite", file, engine)
                    {
                        Skip = IsaName.Missing(file) is { } missing ? $"{missing} is not announced" : Exceptions.Reasons.GetValueOrDefault(file),
                    });
                }
            }

            // The suite is not ours to ship, so a run that has to have everything (CI) has our own guests instead and does not mention it.
            if (Folder is null && Environment.GetEnvironmentVariable("VIRTKIT_REQUIRE_RESOURCES") != "1")
                data.Add(new TheoryDataRow<string, string, string>("suite", "all", "all") { Skip = $"{Variable} does not name a folder with the files of riscv-tests' isa folder" });
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Guests))]
    public void Guest_OnAnEngine_Passes(string set, string name, string engine) =>
        Assert.Null(GuestRun.Failure(set == "own" ? guests.Build(name) : File.ReadAllBytes(Path.Combine(Folder!, name)), Engines.Get(engine)));

    [Theory]
    [InlineData("rv64ui-p-add", null)]
    [InlineData("rv64mi-p-csr", null)]
    [InlineData("rv64si-p-dirty", null)]
    [InlineData("rv64uzbb-v-andn", null)]
    [InlineData("rv64ssvnapot-p-napot", null)]
    [InlineData("rv64mzicbo-p-zero", null)]
    [InlineData("rv64uzicond-p-czero_eqz", null)]
    [InlineData("rv64uzbc-p-clmul", "zbc")]
    [InlineData("rv64uzfh-v-fadd", "zfh")]
    public void Missing_OfAFileName_IsTheExtensionNotAnnounced(string file, string? expected) => Assert.Equal(expected, IsaName.Missing(file));

    [Fact]
    public void Reasons_OfExceptions_NameFilesOfTheSuite()
    {
        if (Folder is not null)
            Assert.Empty(Exceptions.Reasons.Keys.Except(SuiteFiles()));
    }

    private static IEnumerable<string> SuiteFiles() => Folder is null
        ? []
        : Directory.EnumerateFiles(Folder, "rv64*-*-*").Select(file => Path.GetFileName(file))
            .Where(file => !file.Contains('.', StringComparison.Ordinal) && (file.Contains("-p-", StringComparison.Ordinal) || file.Contains("-v-", StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal);
}
