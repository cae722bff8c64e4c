using System.Text;
using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's own kernel, unmodified, from power-on to power-off.</summary>
public sealed class DebianBootTests
{
    private const string OpenSbi = "/usr/lib/riscv64-linux-gnu/opensbi/generic/";

    [Theory]
    [InlineData("interpreter", 1)]
    [InlineData("interpreter", 2)]
    [InlineData("translator", 1)]
    [InlineData("translator", 2)]
    [InlineData("translator", 4)]
    public void BootLinux_CommandWithADisk_WritesWhatTheHostReadsBack(string engine, int cpus)
    {
        Assert.SkipUnless(RiscVEngines.All.Contains(engine), $"The {engine} does not run on this host.");
        RequireKernel();
        string mkfs = Require.Program("mkfs.ext2", "e2fsprogs"), debugfs = Require.Program("debugfs", "e2fsprogs"), fsck = Require.Program("e2fsck", "e2fsprogs");
        string disk = Path.Combine(Directory.CreateTempSubdirectory("virtkit-disk").FullName, "disk.img");
        try
        {
            using (FileStream file = File.Create(disk))
                file.SetLength(8 << 20);
            Tool.Run(mkfs, [], "-q", "-F", disk);
            (int code, string output, string errors) = SampleProgram.Run("BootLinux", "--quiet", "--engine", engine, "--cpus", $"{cpus}", "--disk", disk, "--run",
                "mount /dev/vda /mnt && seq 1 20000 > /mnt/numbers && sync && uname -r && grep -c ^processor /proc/cpuinfo && cat /sys/block/vda/size; exit 7");
            Assert.True(code == 7, output + errors);
            string[] lines = output.Split('\n');
            Assert.EndsWith("-riscv64", lines[0], StringComparison.Ordinal);
            Assert.Equal([$"{cpus}", "16384"], lines[1..3]);
            Assert.Matches($@"(?m)^retired=\d+ seconds=\d+\.\d+ init=\d+\.\d+ engine={engine}$", errors);
            Tool.Run(fsck, [], "-f", "-n", disk);
            string numbers = Encoding.ASCII.GetString(Tool.Run(debugfs, [], "-R", "cat numbers", disk));
            Assert.Equal(string.Concat(Enumerable.Range(1, 20000).Select(i => $"{i}\n")), numbers);
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(disk)!, recursive: true);
        }
    }

    [Theory]
    [InlineData("fw_jump.bin")]
    [InlineData("fw_dynamic.elf")]
    public void BootLinux_UnderOpenSbi_RunsTheCommand(string firmware)
    {
        RequireKernel();
        (int code, string output, string errors) = SampleProgram.Run("BootLinux", "--quiet", "--firmware", Require.File(OpenSbi + firmware, "Debian: opensbi"), "--run", "uname -m");
        Assert.True(code == 0, errors);
        Assert.Equal("riscv64\n", output);
    }

    private static void RequireKernel() => DebianFiles.RiscV();
}
