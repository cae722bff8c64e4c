using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot.Linux;

/// <summary>A small Debian archive in a folder, signed by a key of its own: two packages and their index.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class DebianArchive : IDisposable
{
    public const string Release = "6.99.1-test", Directories = "dists/trixie/main/binary-riscv64";

    private readonly TemporaryFolder _folder = new();
    private readonly string _gpg = Require.Program("gpg", "gpg");

    public DebianArchive()
    {
        string dpkg = Require.Program("dpkg-deb", "dpkg"), xz = Require.Program("xz", "xz-utils");
        Require.Program("gpgv", "gpgv");
        Directory.CreateDirectory(_folder.File("gpg"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Gpg("--passphrase", "", "--quick-gen-key", "Test Archive <archive@example.com>", "default", "default", "never");
        File.WriteAllBytes(Keyring, Gpg("--export"));

        Package(dpkg, "linux-image-" + Release, files =>
        {
            Write(files, "boot/vmlinux-" + Release, "kernel"u8);
            Write(files, $"usr/lib/modules/{Release}/kernel/drivers/virtio_mmio.ko.xz", Tool.Run(xz, "\0license=GPL\0depends=virtio-ring\0name=virtio_mmio\0"u8, "-c"));
            Write(files, $"usr/lib/modules/{Release}/kernel/drivers/virtio_ring.ko.xz", Tool.Run(xz, "\0license=GPL\0depends=\0name=virtio_ring\0"u8, "-c"));
            Write(files, $"usr/lib/modules/{Release}/kernel/drivers/unwanted.ko.xz", Tool.Run(xz, "\0depends=\0"u8, "-c"));
            Write(files, $"usr/lib/modules/{Release}/kernel/drivers/extra.ko.xz", Tool.Run(xz, "\0depends=\0"u8, "-c"));
        });
        Package(dpkg, "busybox-static", files => Write(files, "usr/bin/busybox", "busybox"u8));
        var index = new StringBuilder($"Package: other\nFilename: nowhere\n\nPackage: linux-image-riscv64\nVersion: 1\nDepends: linux-image-{Release} (= 1)\n\n");
        foreach (string file in Directory.EnumerateFiles(File_("pool")).Order(StringComparer.Ordinal))
        {
            byte[] bytes = File.ReadAllBytes(file);
            index.Append($"Package: {Path.GetFileNameWithoutExtension(file)}\nFilename: pool/{Path.GetFileName(file)}\nSize: {bytes.Length}\nSHA256: {Convert.ToHexStringLower(SHA256.HashData(bytes))}\n\n");
        }

        Directory.CreateDirectory(File_(Directories));
        File.WriteAllBytes(File_(Directories + "/Packages.xz"), Tool.Run(xz, Encoding.UTF8.GetBytes(index.ToString()), "-c"));
        Sign("trixie");
    }

    public Uri Address => new(File_(""));

    /// <summary>The archive's public key.</summary>
    public string Keyring => _folder.File("keyring.gpg");

    public string File_(string path) => _folder.File("archive/" + path);

    /// <summary>Writes the Release file of the index as it is, and signs it.</summary>
    public void Sign(string codeName)
    {
        byte[] index = File.ReadAllBytes(File_(Directories + "/Packages.xz"));
        string release = $"Origin: Debian\nSuite: stable\nCodename: {codeName}\nSHA256:\n {Convert.ToHexStringLower(SHA256.HashData(index))} {index.Length} main/binary-riscv64/Packages.xz\n";
        File.WriteAllText(File_("dists/trixie/Release"), release);
        File.WriteAllBytes(File_("dists/trixie/InRelease"), Tool.Run(_gpg, Encoding.UTF8.GetBytes(release), [.. Arguments, "--clear-sign"]));
        File.WriteAllBytes(File_("dists/trixie/Release.gpg"), Tool.Run(_gpg, Encoding.UTF8.GetBytes(release), [.. Arguments, "--armor", "--detach-sign"]));
    }

    public void Dispose()
    {
        try
        {
            Tool.Run(Require.Program("gpgconf", "gpg"), [], "--homedir", _folder.File("gpg"), "--kill", "all");
        }
        finally
        {
            _folder.Dispose();
        }
    }

    private string[] Arguments => ["--homedir", _folder.File("gpg"), "--batch", "--quiet", "--pinentry-mode", "loopback"];

    private byte[] Gpg(params string[] arguments) => Tool.Run(_gpg, [], [.. Arguments, .. arguments]);

    private void Package(string dpkg, string name, Action<string> fill)
    {
        string files = _folder.File("package-" + name);
        fill(files);
        Write(files, "DEBIAN/control", Encoding.ASCII.GetBytes($"Package: {name}\nVersion: 1\nArchitecture: riscv64\nMaintainer: nobody <nobody@example.com>\nDescription: test\n"));
        Directory.CreateDirectory(File_("pool"));
        Tool.Run(dpkg, [], "--root-owner-group", "--build", files, File_($"pool/{name}.deb"));
    }

    private static void Write(string folder, string path, ReadOnlySpan<byte> content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, path))!);
        File.WriteAllBytes(Path.Combine(folder, path), content);
    }
}
