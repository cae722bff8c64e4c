using System.Runtime.Versioning;
using System.Text;
using VirtKit.Boot;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

public sealed class CpioArchiveTests
{
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101, Private = (UnixFileMode)0b110_000_000;

    [Fact]
    public void ToArray_EveryKindOfEntry_ListsAsWritten()
    {
        string cpio = Require.Program("cpio", "cpio");
        string list = Encoding.ASCII.GetString(Tool.Run(cpio, Sample(), "--quiet", "-itvn"));
        Snapshot.Verify(list);
    }

    [Fact]
    public void ToArray_FileContent_ComesBack()
    {
        string cpio = Require.Program("cpio", "cpio");
        Assert.Equal("#!/bin/busybox sh\n"u8.ToArray(), Tool.Run(cpio, Sample(), "--quiet", "-i", "--to-stdout", "init"));
    }

    [Fact]
    public void ToArray_SameCalls_GiveTheSameBytes()
    {
        Assert.Equal(Sample(), Sample());
        Assert.Equal(0, Sample().Length % 512);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc")]
    [InlineData("a//b")]
    [InlineData("a/../b")]
    [InlineData("./a")]
    [InlineData("a/")]
    [InlineData("a\0b")]
    [InlineData("TRAILER!!!")]
    [InlineData("init")]
    [InlineData("init/below")]
    public void AddFile_BadOrTakenPath_Throws(string path)
    {
        CpioArchive archive = new CpioArchive().AddFile("init", Executable, "x"u8);
        byte[] before = archive.ToArray();
        Assert.Throws<ArgumentException>(() => archive.AddFile(path, Executable, []));
        Assert.Equal(before, archive.ToArray());
    }

    [Fact]
    public void AddFile_LongestPathAndName_AreTakenAndOneMoreIsNot()
    {
        string longest = string.Join('/', Enumerable.Repeat(new string('n', 255), 16))[..4095];
        new CpioArchive().AddFile(longest, Private, []);
        Assert.Contains("longer than 4095 bytes", Assert.Throws<ArgumentException>(() => new CpioArchive().AddFile(longest + "n", Private, [])).Message, StringComparison.Ordinal);
        Assert.Contains("more than 255 bytes", Assert.Throws<ArgumentException>(() => new CpioArchive().AddFile(new string('n', 256), Private, [])).Message, StringComparison.Ordinal);
        Assert.Contains("more than 255 bytes", Assert.Throws<ArgumentException>(() => new CpioArchive().AddFile("a/" + new string('ü', 128), Private, [])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new CpioArchive().AddSymbolicLink("a", new string('t', 4096)));
        Assert.Throws<ArgumentException>(() => new CpioArchive().AddSymbolicLink("a", "b\0c"));
        Assert.Throws<ArgumentNullException>(() => new CpioArchive().AddDirectory(null!));
    }

    [Fact, UnsupportedOSPlatform("windows")]
    public void AddFolder_FilesLinksAndModes_ComeBackAsTheyWere()
    {
        string cpio = Require.Program("cpio", "cpio");
        using var source = new TemporaryFolder();
        using var target = new TemporaryFolder();
        Directory.CreateDirectory(source.File("usr/bin"), Executable);
        File.WriteAllText(source.File("usr/bin/tool"), "tool");
        File.SetUnixFileMode(source.File("usr/bin/tool"), Executable);
        File.WriteAllText(source.File("secret"), new string('s', 100_000));
        File.SetUnixFileMode(source.File("secret"), Private);
        Directory.CreateDirectory(source.File("empty"), Private | UnixFileMode.UserExecute);
        File.CreateSymbolicLink(source.File("usr/link"), "../secret");
        Directory.CreateSymbolicLink(source.File("loop"), ".");
        byte[] archive = new CpioArchive().AddFolder("", new DirectoryInfo(source.Path)).AddFolder("copy/below", new DirectoryInfo(source.File("usr"))).ToArray();
        Tool.Run(cpio, archive, "--quiet", "-i", "-d", "-D", target.Path);
        Assert.Equal("tool", File.ReadAllText(target.File("usr/bin/tool")));
        Assert.Equal("tool", File.ReadAllText(target.File("copy/below/bin/tool")));
        Assert.Equal((Executable, Private, Private | UnixFileMode.UserExecute),
            (File.GetUnixFileMode(target.File("usr/bin/tool")), File.GetUnixFileMode(target.File("secret")), File.GetUnixFileMode(target.File("empty"))));
        Assert.Equal(("../secret", "."), (new FileInfo(target.File("usr/link")).LinkTarget, new FileInfo(target.File("loop")).LinkTarget));
        Assert.Equal(archive, new CpioArchive().AddFolder("", new DirectoryInfo(source.Path)).AddFolder("copy/below", new DirectoryInfo(source.File("usr"))).ToArray());
    }

    [Fact]
    public void AddFolder_WithAFifo_IsRefusedAndDoesNotWait()
    {
        string mkfifo = Require.Program("mkfifo", "coreutils");
        using var source = new TemporaryFolder();
        Tool.Run(mkfifo, [], source.File("pipe"));
        Assert.Contains("neither a directory, a file nor a symbolic link", Assert.Throws<IOException>(() => new CpioArchive().AddFolder("", new DirectoryInfo(source.Path))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AddFolder_Cancelled_Stops()
    {
        using var source = new TemporaryFolder();
        File.WriteAllText(source.File("a"), "");
        Assert.Throws<OperationCanceledException>(() => new CpioArchive().AddFolder("", new DirectoryInfo(source.Path), new CancellationToken(canceled: true)));
        Assert.Throws<DirectoryNotFoundException>(() => new CpioArchive().AddFolder("", new DirectoryInfo(source.File("none"))));
    }

    [Fact]
    public void AddFile_FromAStream_IsTheSameAsFromItsBytes()
    {
        byte[] content = new byte[200_001];
        new Random(1).NextBytes(content);
        using var stream = new MemoryStream(content);
        Assert.Equal(new CpioArchive().AddFile("f", Private, content).ToArray(), new CpioArchive().AddFile("f", Private, stream).ToArray());
    }

    [Fact]
    public void Concatenate_ArchivesOfAnyLength_StartAtMultiplesOfFour()
    {
        string cpio = Require.Program("cpio", "cpio");
        byte[] first = Sample(), second = new CpioArchive().AddFile("second", Private, "2"u8).ToArray();
        byte[] joined = CpioArchive.Concatenate(default, first, default, second);
        Assert.Equal([.. first, .. second], joined);
        Assert.Equal([1, 0, 0, 0, 2, 0, 0, 0], CpioArchive.Concatenate(new byte[] { 1 }, new byte[] { 2 }));
        Assert.Empty(CpioArchive.Concatenate());
        Assert.Equal("2"u8.ToArray(), Tool.Run(cpio, joined.AsSpan(first.Length), "--quiet", "-i", "--to-stdout", "second"));
    }

    private static byte[] Sample() => new CpioArchive()
        .AddDirectory("proc")
        .AddDirectory("proc")
        .AddFile("init", Executable, "#!/bin/busybox sh\n"u8)
        .AddFile("usr/lib/modules/m.ko", Private, new byte[5])
        .AddSymbolicLink("bin/sh", "busybox")
        .AddCharacterDevice("dev/console", Private, 5, 1)
        .AddBlockDevice("dev/vda", Private, 254, 0)
        .ToArray();
}
