using System.Text.RegularExpressions;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

/// <summary>The samples as a user starts them.</summary>
public sealed partial class SampleProgramTests
{
    [Fact]
    public void Guests_RebuiltFromSource_AreTheCommittedBytes()
    {
        string compiler = Require.Program("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu");
        string version = System.Text.Encoding.ASCII.GetString(Tool.Run(compiler, [], "-dumpversion")).Trim();
        Assert.SkipUnless(version == "12", $"The committed guests were built with version 12 of the compiler; here is {version}.");
        string output = Directory.CreateTempSubdirectory("virtkit-guests").FullName;
        try
        {
            Tool.Run("/bin/sh", [], SampleProgram.Guest("build.sh"), output);
            foreach (string built in Directory.EnumerateFiles(output))
                Assert.Equal(File.ReadAllBytes(SampleProgram.Guest(Path.GetFileName(built))), File.ReadAllBytes(built));
        }
        finally
        {
            Directory.Delete(output, recursive: true);
        }
    }

    [Fact]
    public void CustomDevice_Run_GuestGetsItsInterrupt()
    {
        (int code, string output, string errors) = SampleProgram.Run("CustomDevice");
        Assert.True(code == 0, errors);
        Assert.Contains("powered off with 36", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Hosting_Run_IsAServiceThatLogsByNameAndEndsWithItsGuest()
    {
        (int code, string output, string errors) = SampleProgram.Run("Hosting");
        Assert.True(code == 0, output + errors);
        Assert.Contains($"The guest runs on the {EngineSelection.Choose(new RiscVArchitecture())}", output, StringComparison.Ordinal);
        Assert.Contains("=> machine:guest", output, StringComparison.Ordinal);
        Assert.Contains("Machine stopped: Shutdown, code 0", output, StringComparison.Ordinal);
        Assert.Contains("Application is shutting down", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Sandbox_Run_ContainsTheHostilePlugin()
    {
        (int code, string output, string errors) = SampleProgram.Run("Sandbox");
        Assert.True(code == 0, output + errors);
        Assert.Contains("words: 30,", output, StringComparison.Ordinal);
        Assert.Contains("caesar: nggnpx ng qnja", output, StringComparison.Ordinal);
        for (int attack = 0; attack <= 10; attack++)
            Assert.Contains($"attack {attack}: contained.", output, StringComparison.Ordinal);
        Assert.Contains("hostile afterwards: 42", output, StringComparison.Ordinal);
    }

    [Fact]
    public void RunElf_EndlessProgram_StopsExactlyAtTheBudget()
    {
        (int code, _, string errors) = SampleProgram.Run("RunElf", "--budget", "1234567", SampleProgram.Guest("spin.elf"));
        Assert.Equal(124, code);
        Assert.Matches(ResultLine(), errors);
        Assert.Contains("retired=1234567 ", errors, StringComparison.Ordinal);
    }

    /// <summary>The runtime's own switch makes the host one without AVX2.</summary>
    [Fact]
    public void RunElf_HostThatTheTranslatorCannotUse_RunsTheInterpreterOrSaysWhy()
    {
        (string, string)[] withoutAvx2 = [("DOTNET_EnableAVX2", "0")];
        (int code, string output, string errors) = SampleProgram.RunWith("RunElf", withoutAvx2, SampleProgram.Guest("finish-pass.elf"));
        Assert.Equal(0, code);
        Assert.Contains("engine=interpreter", output + errors, StringComparison.Ordinal);
        (code, _, errors) = SampleProgram.RunWith("RunElf", withoutAvx2, "--engine", "translator", SampleProgram.Guest("finish-pass.elf"));
        Assert.Equal(1, code);
        Assert.Contains("The engine translator cannot run riscv64 here", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void RunElf_WithMetrics_WritesWhatTheMeterCounts()
    {
        Translator.Translators.Require();
        (_, _, string errors) = SampleProgram.Run("RunElf", "--metrics", "--engine", "translator", "--budget", "1000", SampleProgram.Guest("spin.elf"));
        string[] lines = errors.Split('\n', StringSplitOptions.TrimEntries);
        Assert.Contains("virtkit.instructions.retired=1000", lines);
        Assert.Contains("virtkit.translator.evictions=0", lines);
        foreach (string name in (string[])["blocks", "instructions", "time", "code", "pages"])
            Assert.Contains(lines, line => line.StartsWith($"virtkit.translator.{name}=", StringComparison.Ordinal) && !line.EndsWith("=0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("host", "what the guest timed itself is real")]
    [InlineData("virtual", "what the guest timed itself counts instructions")]
    public void RunElf_WithATime_SaysWhatTheGuestsFiguresMean(string time, string meaning)
    {
        (int code, _, string errors) = SampleProgram.Run("RunElf", "--time", time, SampleProgram.Guest("tohost-pass.elf"));
        Assert.True(code == 0, errors);
        Assert.Contains($"time={time} guest-seconds=", errors, StringComparison.Ordinal);
        Assert.Contains(meaning, errors, StringComparison.Ordinal);
        if (time == "host")
            Assert.Contains("--budget needs virtual time", SampleProgram.Run("RunElf", "--time", time, "--budget", "9", SampleProgram.Guest("spin.elf")).Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("finish-pass.elf", 0)]
    [InlineData("finish-fail.elf", 42)]
    [InlineData("tohost-pass.elf", 0)]
    [InlineData("tohost-fail.elf", 21)]
    public void RunElf_EveryEnding_GivesItsExitCode(string program, int expected)
    {
        (int code, _, string errors) = SampleProgram.Run("RunElf", SampleProgram.Guest(program));
        Assert.True(code == expected, $"{code}: {errors}");
        Assert.Matches(ResultLine(), errors);
    }

    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void RunElf_ProgramThatTrapsWithoutAHandler_NamesTheTrapAndItsSymbol(string engine)
    {
        string compiler = Require.Program("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu");
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("p.s"), ".globl _start\n.type _start, @function\n_start: call victim\n.type victim, @function\nvictim: nop\nld a0, 0(zero)\nj victim\n.size victim, . - victim\n");
        Tool.Run(compiler, [], "-nostdlib", "-static", "-Wl,--build-id=none,-N,-Ttext=0x80000000", "-o", folder.File("p.elf"), folder.File("p.s"));
        (int code, _, string errors) = SampleProgram.Run("RunElf", "--engine", engine, folder.File("p.elf"));
        Assert.Equal(70, code);
        Assert.Matches(@"first trap: load access fault in victim\+0x[24] \(0x8000[0-9a-f]+\), value 0x0", errors);
    }

    [Fact]
    public void RunElf_NotAnElf_SaysSo()
    {
        (int code, _, string errors) = SampleProgram.Run("RunElf", SampleProgram.Guest("build.sh"));
        Assert.Equal(1, code);
        Assert.Contains("Not an ELF file", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void BootLinux_WithoutAKernel_BootsTheDefaultGuest()
    {
        (int code, string output, string errors) = SampleProgram.RunWithoutCache("BootLinux", "--no-fetch", "--append", "some words");
        Assert.True(code == 0, errors + output);
        Assert.Contains("default guest", errors, StringComparison.Ordinal);
        foreach (string line in (string[])["Hello from VirtKit's default guest", "Command line: some words", "Disk, writing and reading back: good", "Entropy: good", "All is well"])
            Assert.Contains(line, output, StringComparison.Ordinal);
    }

    [Fact]
    public void BootLinux_RunWithoutAKernel_Fails()
    {
        (int code, _, string errors) = SampleProgram.RunWithoutCache("BootLinux", "--no-fetch", "--run", "true");
        Assert.Equal(1, code);
        Assert.Contains("the cache is empty", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void BootLinux_ArchiveThatIsNotThere_SaysWhatToDo()
    {
        (int code, _, string errors) = SampleProgram.RunWithoutCache("BootLinux", "--run", "true", "--mirror", "file:///nowhere/debian", "--allow-unsigned");
        Assert.Equal(1, code);
        foreach (string part in (string[])["No archive has Debian's trixie for riscv64", "file:///nowhere/debian/dists/trixie", "http_proxy", "--mirror names another archive", "--kernel and --initrd boot files of yours"])
            Assert.Contains(part, errors, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', errors);
        (code, _, errors) = SampleProgram.RunWithoutCache("BootLinux", "--mirror", "gopher://nowhere");
        Assert.Equal(1, code);
        Assert.Contains("--mirror takes an address such as", errors, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"^retired=\d+ seconds=\d+\.\d+ mips=\d+\.\d+ engine=\w+$", RegexOptions.Multiline)]
    private static partial Regex ResultLine();
}
