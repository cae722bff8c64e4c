using System.Text;
using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot.Linux;

public sealed class KernelModulesTests
{
    [Fact]
    public void Closure_Chain_LoadsDependenciesFirstAndEachOnce()
    {
        using var folder = new TemporaryFolder();
        Write(folder, "a", "b,c");
        Write(folder, "b", "d");
        Write(folder, "c", "d");
        Write(folder, "d", "");
        Assert.Equal(["d", "b", "c", "a"], Names(folder, "a"));
        Assert.Equal(["d", "c", "b", "a"], Names(folder, "c", "a"));
        Assert.Empty(Names(folder, "built_in"));
    }

    [Fact]
    public void Closure_Circle_Ends()
    {
        using var folder = new TemporaryFolder();
        Write(folder, "a", "b");
        Write(folder, "b", "c");
        Write(folder, "c", "a,b,c");
        Assert.Equal(["c", "b", "a"], Names(folder, "a"));
    }

    [Fact]
    public void Closure_LongChain_NeedsNoStack()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder.File("modules.dep"), Enumerable.Range(0, 50_000).Select(i => $"kernel/m{i}.ko: kernel/m{i + 1}.ko"));
        for (int i = 0; i < 2_000; i++)
            Write(folder, $"m{i}", "");
        string[] names = [];
        var thread = new Thread(() => names = Names(folder, "m0"), maxStackSize: 128 << 10);
        thread.Start();
        thread.Join();
        Assert.Equal(2_000, names.Length);
        Assert.Equal("m1999", names[0]);
    }

    [Fact]
    public void Closure_WithModulesDep_TakesItsWord()
    {
        using var folder = new TemporaryFolder();
        Write(folder, "a-module", "");
        Write(folder, "b", "");
        File.WriteAllText(folder.File("modules.dep"), "# comment\nkernel/a-module.ko: kernel/b.ko\nkernel/b.ko:\n");
        Assert.Equal(["b", "a_module"], Names(folder, "a_module"));
    }

    [Fact]
    public void Closure_EveryCompression_GivesTheModule()
    {
        string xz = Require.Program("xz", "xz-utils");
        using var folder = new TemporaryFolder();
        byte[] module = Module("");
        File.WriteAllBytes(folder.File("plain.ko"), module);
        File.WriteAllBytes(folder.File("gzip.ko.gz"), LinuxImageTests.Compressed(module));
        File.WriteAllBytes(folder.File("xz.ko.xz"), Tool.Run(xz, module, "-c"));
        Assert.All(KernelModules.Open(folder.Path).Closure(["plain", "gzip", "xz"]), m => Assert.Equal(module, m.Content.ToArray()));
        File.WriteAllBytes(folder.File("broken.ko.xz"), [1, 2, 3]);
        Assert.Contains("xz failed", Assert.Throws<GuestFilesException>(() => KernelModules.Open(folder.Path).Closure(["broken"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Closure_DecompressedBeyondTheLimit_IsRefused()
    {
        string xz = Require.Program("xz", "xz-utils");
        using var folder = new TemporaryFolder();
        byte[] zeros = new byte[KernelModules.MaxModuleSize + 1];
        File.WriteAllBytes(folder.File("gzip.ko.gz"), LinuxImageTests.Compressed(zeros));
        File.WriteAllBytes(folder.File("xz.ko.xz"), Tool.Run(xz, zeros, "-c", "-0"));
        Assert.Throws<InvalidImageException>(() => KernelModules.Open(folder.Path).Closure(["gzip"]));
        Assert.Throws<GuestFilesException>(() => KernelModules.Open(folder.Path).Closure(["xz"]));
        Assert.Throws<DirectoryNotFoundException>(() => KernelModules.Open(folder.File("none")));
    }

    private static string[] Names(TemporaryFolder folder, params string[] wanted) => [.. KernelModules.Open(folder.Path).Closure(wanted).Select(module => module.Name)];

    private static void Write(TemporaryFolder folder, string name, string depends) => File.WriteAllBytes(folder.File(name + ".ko"), Module(depends));

    private static byte[] Module(string depends) => Encoding.ASCII.GetBytes($"\u007fELF\0license=GPL\0depends={depends}\0name=x\0");
}
