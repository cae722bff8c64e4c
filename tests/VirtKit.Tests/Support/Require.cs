namespace VirtKit.Tests.Support;

/// <summary>What a test needs from the host beyond the .NET SDK. A missing resource skips the test with its reason; with <c>VIRTKIT_REQUIRE_RESOURCES=1</c>, as
/// <c>.ci/run</c> sets it, it fails instead.</summary>
internal static partial class Require
{
    private static readonly bool Strict = Environment.GetEnvironmentVariable("VIRTKIT_REQUIRE_RESOURCES") == "1";

    /// <summary>The full path of a program on PATH, or a skip that names the Debian package which has it.</summary>
    public static string Program(string name, string package)
    {
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            string path = Path.Combine(folder, name);
            if (System.IO.File.Exists(path))
                return path;
        }

        return Missing<string>($"{name} is not installed (Debian: {package})");
    }

    /// <summary>A file at a fixed place, or a skip that says where it comes from.</summary>
    public static string File(string path, string origin) => System.IO.File.Exists(path) ? path : Missing<string>($"{path} is missing ({origin})");

    /// <summary>A compiler of RISC-V Linux programs: the compiler alone makes only freestanding ones.</summary>
    public static string RiscVLinuxCompiler()
    {
        File("/usr/riscv64-linux-gnu/include/stdio.h", "Debian: libc6-dev-riscv64-cross");
        return Program("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu");
    }

    /// <summary>/dev/kvm, open for reading and writing. Its absence skips even in CI: no script can install it.</summary>
    public static void Kvm()
    {
        if (!System.IO.File.Exists("/dev/kvm"))
            Assert.Skip("/dev/kvm is missing");
    }

    private static T Missing<T>(string reason)
    {
        if (Strict)
            Assert.Fail(reason);
        Assert.Skip(reason);
        throw new InvalidOperationException();
    }
}
