using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot.Linux;

/// <summary>apt's configuration as it is found on machines: what is asked for Debian's packages, in which order.</summary>
public sealed class AptSourcesTests
{
    [Fact]
    public void Read_FreshDebianInDeb822_AsksItsArchiveOnce() => Check(new()
    {
        ["sources.list.d/debian.sources"] = """
            Types: deb
            # http://snapshot.example/archive/debian/20250520T000000Z
            URIs: http://deb.example/debian
            Suites: bookworm bookworm-updates
            Components: main
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

            Types: deb
            URIs: http://deb.example/debian-security
            Suites: bookworm-security
            Components: main
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
            """,
    }, "http://deb.example/debian");

    [Fact]
    public void Read_OldDebianInOneLineFormat_AsksMirrorsWithTheSuiteFirst() => Check(new()
    {
        ["sources.list"] = """
            deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64]/ bookworm main
            # deb http://commented.example/debian bookworm main
            deb http://ftp.example/debian/ bookworm main contrib # a comment
            deb-src http://sources.example/debian bookworm main
            deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/own.gpg ] https://mirror.example/pool trixie main
            deb [broken http://broken.example/debian trixie main
            deb	http://security.example/debian-security bookworm-security main
            deb http://flat.example/packages ./
            """,
    }, "https://mirror.example/pool", "http://ftp.example/debian");

    [Fact]
    public void Read_Ubuntu_HasNothingOfDebian() => Check(new()
    {
        ["sources.list"] = "# Ubuntu sources have moved to /etc/apt/sources.list.d/ubuntu.sources\n",
        ["sources.list.d/ubuntu.sources"] = """
            Types: deb
            URIs: http://archive.ubuntu.example/ubuntu/
            Suites: noble noble-updates noble-backports
            Components: main universe restricted multiverse
            Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
            """,
    });

    [Fact]
    public void Read_DisabledForeignAndMirrorLists_AreLeftOutOrExpanded()
    {
        using var mirrors = new TemporaryFolder();
        File.WriteAllText(mirrors.File("debian.list"), "# mirrors\nhttps://near.example/debian/ priority:1\nhttps://far.example/debian\tpriority:2\n\n");
        Check(new()
        {
            ["sources.list.d/a.sources"] = $"Types: deb\nURIs: mirror+file:{mirrors.File("debian.list")}\nSuites: trixie\nComponents: main\n",
            ["sources.list.d/b.sources"] = "Enabled: no\nTypes: deb\nURIs: http://disabled.example/debian\nSuites: trixie\n",
            ["sources.list.d/c.sources"] = "types: deb-src deb\nuris:\n http://one.example/debian\n http://two.example/debian\nsuites: trixie\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n",
            ["sources.list.d/d.sources.disabled"] = "Types: deb\nURIs: http://renamed.example/debian\nSuites: trixie\n",
            ["sources.list.d/e.list"] = "deb https://deb.nodesource.com/node_20.x nodistro main\ndeb ftp://ftp.example/debian trixie main\n",
        }, "https://near.example/debian", "https://far.example/debian", "http://one.example/debian", "http://two.example/debian");
    }

    [Fact]
    public void Read_NoConfiguration_AsksNobody() => Check([]);

    [Fact]
    public void Archives_GivenByTheCaller_AreAskedAlone()
    {
        var options = new DebianFetchOptions { Repositories = [new Uri("https://own.example/debian/")] };
        Assert.Equal(["https://own.example/debian"], DebianRepository.Archives(DebianGuest.RiscV64, options, [new AptSource("http://deb.example/debian", ["trixie"], null)]).Select(archive => archive.Address));
    }

    [Fact]
    public void Read_SignedBy_IsTheKeyringsFile()
    {
        AptSource[] sources = [.. AptSources.ReadLines(["deb [arch=amd64 Signed-By=/k.gpg,ABCD] http://a.example/debian trixie main"]),
            .. AptSources.ReadStanzas(["Types: deb", "URIs: http://b.example/debian", "Suites: trixie", "Signed-By: /l.pgp"]), .. AptSources.ReadLines(["deb http://c.example/debian trixie"])];
        Assert.Equal(["/k.gpg", "/l.pgp", null], sources.Select(source => source.Keyring));
    }

    private static void Check(Dictionary<string, string> files, params string[] expected)
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("sources.list.d"));
        foreach ((string name, string content) in files)
            File.WriteAllText(folder.File(name), content);
        Assert.Equal(expected, DebianRepository.Archives(DebianGuest.RiscV64, new DebianFetchOptions(), AptSources.Read(folder.Path)).Select(archive => archive.Address));
    }
}
