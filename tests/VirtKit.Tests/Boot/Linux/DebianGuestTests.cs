using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot.Linux;

/// <summary>Fetching from an archive in a folder: what is checked, what is kept, and what is said where it fails. Nothing here asks a network.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DebianGuestTests : IDisposable
{
    private readonly TemporaryFolder _cache = new();
    private readonly Recorder _progress = new();
    private DebianArchive? _archive;

    private DebianArchive Archive => _archive ??= new DebianArchive();

    private DebianFetchOptions Options => new() { CacheFolder = _cache.Path, Repositories = [Archive.Address], Keyring = Archive.Keyring, Progress = _progress };

    [Fact]
    public async Task Fetch_SignedArchive_GivesKernelBusyboxAndModules()
    {
        Assert.Null(DebianGuest.RiscV64.FindCached(_cache.Path));
        LinuxGuestFiles files = await DebianGuest.RiscV64.FetchAsync(Options);
        Assert.Equal(("kernel", "busybox"), (File.ReadAllText(files.Kernel), File.ReadAllText(files.Busybox)));
        Assert.Equal(["virtio_ring", "virtio_mmio"], KernelModules.Open(files.Modules).Closure(["virtio-mmio", "not-there"]).Select(module => module.Name));
        Assert.False(KernelModules.Open(files.Modules).Contains("unwanted"));
        Assert.Equal(files, DebianGuest.RiscV64.FindCached(_cache.Path));
        Assert.Equal(["InRelease", "Packages.xz", $"linux-image-{DebianArchive.Release}.deb", "busybox-static.deb"], _progress.Received);
        Assert.Empty(Directory.EnumerateFiles(_cache.Path, "*.part", SearchOption.AllDirectories).Concat(Directory.EnumerateFiles(_cache.Path, "*.deb", SearchOption.AllDirectories)));
        // A second fetch asks nobody.
        Assert.Equal(files, await DebianGuest.RiscV64.FetchAsync(Options with { Repositories = [new Uri("file:///nowhere")] }));
        Assert.NotEmpty(BusyboxInitramfs.Build(files, new BusyboxInitramfsOptions { Command = "true", MountsDisks = true }));
    }

    [Fact]
    public async Task Fetch_FurtherModules_AreFetchedWhereTheCacheLacksThem()
    {
        await DebianGuest.RiscV64.FetchAsync(Options);
        LinuxGuestFiles files = await DebianGuest.RiscV64.FetchAsync(Options with { Modules = ["extra", "built-in"] });
        Assert.True(KernelModules.Open(files.Modules).Contains("extra"));
        await DebianGuest.RiscV64.FetchAsync(Options with { Modules = ["built-in"], Repositories = [new Uri("file:///nowhere")] });
    }

    [Fact]
    public async Task Fetch_ChangedIndex_IsRefusedByItsChecksum()
    {
        File.AppendAllText(Archive.File_(DebianArchive.Directories + "/Packages.xz"), "x");
        await Refused("longer than");
        byte[] index = File.ReadAllBytes(Archive.File_(DebianArchive.Directories + "/Packages.xz"))[..^1];
        index[^1] ^= 1;
        File.WriteAllBytes(Archive.File_(DebianArchive.Directories + "/Packages.xz"), index);
        await Refused("does not have the size and SHA-256");
    }

    [Fact]
    public async Task Fetch_ChangedPackage_IsRefusedByItsChecksum()
    {
        string package = Archive.File_("pool/busybox-static.deb");
        byte[] bytes = File.ReadAllBytes(package);
        bytes[^1] ^= 1;
        File.WriteAllBytes(package, bytes);
        var error = await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(Options));
        Assert.Contains("busybox-static.deb does not have the size and SHA-256", error.Message, StringComparison.Ordinal);
        Assert.Null(DebianGuest.RiscV64.FindCached(_cache.Path));
        Assert.Empty(Directory.EnumerateFiles(_cache.Path, "*.part", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Fetch_ChangedRelease_IsRefusedByItsSignature()
    {
        string release = Archive.File_("dists/trixie/InRelease");
        File.WriteAllText(release, File.ReadAllText(release).Replace("Origin: Debian", "Origin: Debiam", StringComparison.Ordinal));
        await Refused("gpgv failed");
        // Not even where the signature need not be there: it is there, and wrong.
        await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(Options with { AllowUnsigned = true }));
    }

    [Fact]
    public async Task Fetch_SignedByAnother_IsRefused()
    {
        using var other = new DebianArchive();
        await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(Options with { Keyring = other.Keyring }));
        var missing = await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(Options with { Keyring = _cache.File("none") }));
        Assert.Contains("There is no keyring", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_AnotherRelease_IsRefused()
    {
        Archive.Sign("forky");
        await Refused("It is not trixie");
    }

    [Fact]
    public async Task Fetch_NoSuchArchive_SaysWhatWasAskedAndWhatToDo()
    {
        var options = new DebianFetchOptions { CacheFolder = _cache.Path, Repositories = [new Uri("file:///nowhere/debian")], Keyring = "/dev/null", AllowUnsigned = true };
        var error = await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(options));
        foreach (string part in (string[])["Debian's trixie for riscv64", "file:///nowhere/debian/dists/trixie", "file:///nowhere/debian/dists/stable", "http_proxy", "name a mirror"])
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_Cancelled_LeavesNothingHalfDone()
    {
        using var cancellation = new CancellationTokenSource();
        _progress.OnReport = value =>
        {
            if (value.What.StartsWith("Unpacking", StringComparison.Ordinal))
                cancellation.Cancel();
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DebianGuest.RiscV64.FetchAsync(Options, cancellation.Token));
        Assert.Null(DebianGuest.RiscV64.FindCached(_cache.Path));
        _progress.OnReport = null;
        await DebianGuest.RiscV64.FetchAsync(Options);
    }

    [Fact]
    public async Task Fetch_TwiceAtOnce_WorksOnce()
    {
        LinuxGuestFiles[] files = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => DebianGuest.RiscV64.FetchAsync(Options)));
        Assert.All(files, f => Assert.Equal(files[0], f));
        Assert.Single(_progress.Received, "busybox-static.deb");
    }

    [Fact]
    public void FetchRelease_HostWithoutVerifierOrKeyring_SaysWhatToInstallUnlessAllowed()
    {
        string suite = Archive.Address.AbsoluteUri.TrimEnd('/') + "/dists/trixie";
        foreach ((string missing, string package, DebianSignature signature) in new[]
        {
            ("gpgv", "gpgv", Signature(Options, _ => null)),
            ("Debian's keyring", "debian-archive-keyring", Signature(Options with { Keyring = null }, HostProgram.Find)),
        })
        {
            var error = Assert.Throws<GuestFilesException>(() => signature.FetchRelease(suite, configured: null));
            Assert.Equal((missing, $"The signature of Debian's archive cannot be checked: {missing} is not installed. On Debian and Ubuntu: sudo apt-get install {package}."), (error.MissingProgram, error.Message));
        }

        Assert.Contains("Codename: trixie", Signature(Options with { AllowUnsigned = true }, _ => null).FetchRelease(suite, null), StringComparison.Ordinal);
        // The keyring that the host's configuration names for this archive does as well.
        Assert.StartsWith("Origin: Debian", Signature(Options with { Keyring = null }, HostProgram.Find).FetchRelease(suite, Archive.Keyring), StringComparison.Ordinal);
    }

    /// <summary>sqv's place is taken by a script that has its arguments and checks as gpgv does.</summary>
    [Fact]
    public void FetchRelease_HostWithSqvAlone_ChecksTheDetachedSignature()
    {
        string sqv = _cache.File("sqv"), suite = Archive.Address.AbsoluteUri.TrimEnd('/') + "/dists/trixie";
        File.WriteAllText(sqv, "#!/bin/sh\n[ $# = 4 ] && [ \"$1\" = --keyring ] && exec gpgv --keyring \"$2\" \"$3\" \"$4\"\n");
        File.SetUnixFileMode(sqv, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        DebianSignature signature = Signature(Options, name => name == "sqv" ? sqv : null);
        Assert.StartsWith("Origin: Debian", signature.FetchRelease(suite, null), StringComparison.Ordinal);
        File.AppendAllText(Archive.File_("dists/trixie/Release"), "x");
        Assert.Contains("sqv failed", Assert.Throws<GuestFilesException>(() => signature.FetchRelease(suite, null)).Message, StringComparison.Ordinal);
    }

    private DebianSignature Signature(DebianFetchOptions options, Func<string, string?> find) =>
        new(options, new Download(null, default), _cache.Path, default) { Keyrings = [], FindProgram = find };

    [Theory]
    [InlineData("xz", "xz-utils")]
    [InlineData("dpkg-deb", "dpkg")]
    public void Fetch_ProgramNotInstalled_NamesItAndItsPackage(string program, string package)
    {
        GuestFilesException error = HostProgram.Missing(program, package);
        Assert.Equal(program, error.MissingProgram);
        Assert.Equal($"{program} is not installed. On Debian and Ubuntu: sudo apt-get install {package}", error.Message);
        Assert.Equal("virtkit-no-such-program", Assert.Throws<GuestFilesException>(() => HostProgram.Run("virtkit-no-such-program", "none", 1, [], default)).MissingProgram);
    }

    /// <summary>Where the host has no apt, files come by HTTP: from a server of this test on the loopback device.</summary>
    [Fact]
    public async Task ReceiveHttp_LocalServer_GivesTheFileAndItsErrors()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        string address = $"http://127.0.0.1:{((IPEndPoint)server.LocalEndpoint).Port}";
        Task serving = Task.Run(async () =>
        {
            foreach (string answer in (string[])["200 OK", "404 Not Found"])
            {
                using TcpClient client = await server.AcceptTcpClientAsync();
                NetworkStream stream = client.GetStream();
                Assert.True(await stream.ReadAsync(new byte[4096]) > 0);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {answer}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
            }
        });
        var download = new Download(_progress, default, useApt: false);
        download.Fetch(address + "/a", _cache.File("a"));
        Assert.Equal("hello", File.ReadAllText(_cache.File("a")));
        Assert.Contains("404", Assert.Throws<GuestFilesException>(() => download.Fetch(address + "/b", _cache.File("b"))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_cache.File("b")));
        await serving;
    }

    public void Dispose()
    {
        _archive?.Dispose();
        _cache.Dispose();
    }

    private async Task Refused(string reason)
    {
        var error = await Assert.ThrowsAsync<GuestFilesException>(() => DebianGuest.RiscV64.FetchAsync(Options));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Null(DebianGuest.RiscV64.FindCached(_cache.Path));
    }

    private sealed class Recorder : IProgress<FetchProgress>
    {
        private readonly List<FetchProgress> _reports = [];

        public Action<FetchProgress>? OnReport { get; set; }

        public IReadOnlyList<string> Received
        {
            get
            {
                lock (_reports)
                    return [.. _reports.Where(report => report.Kind == FetchProgressKind.Received).Select(report => report.What)];
            }
        }

        public void Report(FetchProgress value)
        {
            lock (_reports)
                _reports.Add(value);
            OnReport?.Invoke(value);
        }
    }
}
