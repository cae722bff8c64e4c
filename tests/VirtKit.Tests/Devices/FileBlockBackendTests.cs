using System.Diagnostics;
using System.Globalization;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Storage;
using VirtKit.Tests.Samples;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class FileBlockBackendTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(BlockAccess.ReadWrite, BlockAccess.ReadWrite, false)]
    [InlineData(BlockAccess.ReadWrite, BlockAccess.ReadOnly, false)]
    [InlineData(BlockAccess.ReadOnly, BlockAccess.ReadWrite, false)]
    [InlineData(BlockAccess.ReadOnly, BlockAccess.ReadOnly, true)]
    public void Open_InUseInThisProcess_OnlyReadersShare(BlockAccess first, BlockAccess second, bool shared)
    {
        string image = Image("disk.img"), hard = _folder.File("hard.img"), symbolic = _folder.File("symbolic.img");
        Tool.Run(Require.Program("ln", "coreutils"), [], image, hard);
        File.CreateSymbolicLink(symbolic, image);
        var holder = new FileBlockBackend(image, first);
        foreach (string path in (string[])[image, hard, symbolic])
        {
            if (shared)
                new FileBlockBackend(path, second).Dispose();
            else
                Assert.Contains(path, Assert.Throws<VirtKitException>(() => new FileBlockBackend(path, second)).Message, StringComparison.Ordinal);
        }

        // A refused opener takes nothing from the holder, and leaves nothing behind.
        holder.Read(0, new byte[512]);
        holder.Dispose();
        new FileBlockBackend(hard).Dispose();
    }

    [Theory]
    [InlineData("-x", BlockAccess.ReadWrite, false)]
    [InlineData("-x", BlockAccess.ReadOnly, false)]
    [InlineData("-s", BlockAccess.ReadWrite, false)]
    [InlineData("-s", BlockAccess.ReadOnly, true)]
    public void Open_LockedByAnotherProcess_IsRefusedUntilThatOneDies(string theirs, BlockAccess ours, bool shared)
    {
        string image = Image("disk.img");
        using Process other = Process.Start(new ProcessStartInfo(Require.Program("flock", "util-linux"), [theirs, image, "-c", "echo locked; exec cat"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        try
        {
            Assert.Equal("locked", other.StandardOutput.ReadLine());
            if (shared)
                new FileBlockBackend(image, ours).Dispose();
            else
                Assert.Contains(image, Assert.Throws<VirtKitException>(() => new FileBlockBackend(image, ours)).Message, StringComparison.Ordinal);
        }
        finally
        {
            other.Kill(entireProcessTree: true);
            other.WaitForExit();
        }

        Assert.True(SpinWait.SpinUntil(() => CanOpen(image, ours), TimeSpan.FromSeconds(20)));
    }

    [Theory]
    [InlineData(BlockAccess.ReadWrite, "-s", false)]
    [InlineData(BlockAccess.ReadWrite, "-x", false)]
    [InlineData(BlockAccess.ReadOnly, "-x", false)]
    [InlineData(BlockAccess.ReadOnly, "-s", true)]
    public void Open_Held_KeepsOtherProcessesOut(BlockAccess ours, string theirs, bool shared)
    {
        string image = Image("disk.img");
        using var disk = new FileBlockBackend(image, ours);
        using Process other = Process.Start(Require.Program("flock", "util-linux"), ["-n", theirs, image, "true"]);
        other.WaitForExit();
        Assert.Equal(shared ? 0 : 1, other.ExitCode);
    }

    /// <summary>Two hosts of the library: a process of the sample is refused what this process has open.</summary>
    [Fact]
    public void Open_HeldHere_IsRefusedToAnotherHost()
    {
        Require.Debian(DebianGuest.RiscV64);
        string image = Image("disk.img");
        using var disk = new FileBlockBackend(image);
        (int code, _, string errors) = SampleProgram.Run("BootLinux", "--engine", "interpreter", "--disk", image, "--run", "true");
        Assert.NotEqual(0, code);
        Assert.Contains(image, errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fifo")]
    [InlineData("socket")]
    [InlineData("folder")]
    [InlineData("empty")]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    [InlineData("link to fifo")]
    [InlineData("dangling link")]
    [InlineData("700 bytes")]
    public async Task Open_NoDiskImage_IsRefusedAtOnce(string kind)
    {
        string path = kind.StartsWith('/') ? kind : _folder.File(kind);
        System.Net.Sockets.Socket? socket = null;
        switch (kind)
        {
            case "fifo" or "link to fifo":
                string fifo = _folder.File("fifo");
                Tool.Run(Require.Program("mkfifo", "coreutils"), [], fifo);
                if (kind != "fifo")
                    File.CreateSymbolicLink(path, fifo);
                break;
            case "socket":
                socket = new(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
                socket.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(path));
                break;
            case "folder":
                Directory.CreateDirectory(path);
                break;
            case "empty":
                File.WriteAllBytes(path, []);
                break;
            case "dangling link":
                File.CreateSymbolicLink(path, path + ".none");
                break;
            case "700 bytes":
                File.WriteAllBytes(path, new byte[700]);
                break;
        }

        using (socket)
        {
            foreach (BlockAccess access in Enum.GetValues<BlockAccess>())
            {
                VirtKitException refusal = await Assert.ThrowsAsync<VirtKitException>(() => Task.Run(() => new FileBlockBackend(path, access))
                    .WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
                Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Read_FileBecameShorter_IsAnIoError()
    {
        string image = Image("disk.img");
        using var disk = new FileBlockBackend(image);
        byte[] sector = new byte[512];
        // A file that the host grows stays as long as it was for the guest.
        SetLength(image, 1 << 20);
        Assert.Equal(8192, disk.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => disk.Read(8192, sector));
        SetLength(image, 700);
        Assert.Throws<EndOfStreamException>(() => disk.Read(512, sector));
        disk.Read(0, sector);
        disk.Write(4096, sector);
        disk.Read(4096, sector);
    }

    /// <summary>Few may open the devices of the machine that the tests run on; the others are refused by name.</summary>
    [Fact]
    public void Open_EachBlockDeviceOfThisMachine_HasItsLengthOrIsRefused()
    {
        if (!Directory.Exists("/sys/class/block"))
            return;
        foreach (string name in Directory.EnumerateFileSystemEntries("/sys/class/block").Select(entry => Path.GetFileName(entry)))
        {
            FileBlockBackend disk;
            try
            {
                disk = new FileBlockBackend($"/dev/{name}", BlockAccess.ReadOnly);
            }
            catch (VirtKitException refusal)
            {
                Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
                continue;
            }

            using (disk)
            {
                Assert.Equal(long.Parse(File.ReadAllText($"/sys/class/block/{name}/size"), CultureInfo.InvariantCulture) * 512, disk.Length);
                disk.Read(disk.Length - 512, new byte[512]);
            }
        }
    }

    private static bool CanOpen(string path, BlockAccess access)
    {
        try
        {
            new FileBlockBackend(path, access).Dispose();
            return true;
        }
        catch (VirtKitException)
        {
            return false;
        }
    }

    /// <summary>By another program: .NET locks what it opens.</summary>
    private static void SetLength(string path, int length) => Tool.Run(Require.Program("truncate", "coreutils"), [], "-s", $"{length}", path);

    private string Image(string name)
    {
        string path = _folder.File(name);
        File.WriteAllBytes(path, new byte[8192]);
        return path;
    }
}
