using System.Collections.Concurrent;
using System.Diagnostics;
using VirtKit.Tests.Support;

namespace VirtKit.Conformance;

/// <summary>Assembles the guests of the folder <c>guests</c> with the cross compiler, each once for all tests.</summary>
public sealed class GuestBuilder : IDisposable
{
    private static readonly string Sources = Path.Combine(AppContext.BaseDirectory, "guests");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("virtkit-guests-");
    private readonly ConcurrentDictionary<string, Lazy<byte[]>> _built = new();

    /// <summary>The guests by name.</summary>
    public static IEnumerable<string> Names => Directory.EnumerateFiles(Sources, "*.S").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal);

    /// <summary>The ELF file of a guest.</summary>
    public byte[] Build(string name) => _built.GetOrAdd(name, n => new Lazy<byte[]>(() => Assemble(n))).Value;

    public void Dispose() => _folder.Delete(recursive: true);

    private byte[] Assemble(string name)
    {
        string compiler = Require.Program("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"), output = Path.Combine(_folder.FullName, name);
        string[] arguments =
        [
            "-march=rv64imafdc_zicsr_zifencei", "-mabi=lp64d", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-Wl,--build-id=none,--no-warn-rwx-segments",
            "-Wa,-I.", "-T", "link.ld", name + ".S", "-o", output,
        ];
        using Process process = Process.Start(new ProcessStartInfo(compiler, arguments) { WorkingDirectory = Sources, RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        return File.ReadAllBytes(output);
    }
}
