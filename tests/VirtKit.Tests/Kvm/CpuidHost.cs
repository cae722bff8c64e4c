using System.Globalization;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Kvm;

/// <summary>What processors answer, as text files: AMD's and Intel's, on whatever machine the tests run.</summary>
internal static class CpuidHost
{
    public static string[] Names { get; } = ["amd-zen3-nested", "amd-zen4", "intel-skylake-server", "intel-sapphire-rapids"];

    public static CpuidEntry[] Read(string name)
    {
        string path = Path.Combine(Repository.Root, "tests", "VirtKit.Tests", "Kvm", "CpuidHosts", name + ".txt");
        return [.. File.ReadLines(path).Where(line => line.Length > 0 && line[0] != '#').Select(Parse)];
    }

    private static CpuidEntry Parse(string line)
    {
        string[] parts = line.Split(' ');
        string[] place = parts[0].Split('.');
        return new CpuidEntry(Hex(place[0]), place.Length > 1 ? Hex(place[1]) : 0, place.Length > 1, new CpuidResult(Hex(parts[1]), Hex(parts[2]), Hex(parts[3]), Hex(parts[4])));
    }

    private static uint Hex(string text) => uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
