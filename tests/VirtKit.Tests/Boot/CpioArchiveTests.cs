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
