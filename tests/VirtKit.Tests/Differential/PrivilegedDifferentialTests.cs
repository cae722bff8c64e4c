using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Random privileged state on QEMU and on every engine. Where the two differ within the specification stands in <see cref="PrivilegedProgram"/>.</summary>
public sealed class PrivilegedDifferentialTests
{
    private const int Programs = 8, Operations = 2000;

    [Fact]
    public async Task RandomCsrAccesses_InEveryMode_AgreeWithQemu()
    {
        Random random = Seed.Random();
        for (int i = 0; i < Programs; i++)
        {
            var program = new PrivilegedProgram(random, Operations);
            Dictionary<string, byte[]> actual = RiscVEngines.All.ToDictionary(engine => engine, engine => GuestRun.OnEngine(engine, program.Image));
            byte[] expected = await GuestRun.OnQemu(program.Image);
            foreach ((string engine, byte[] memory) in actual)
            {
                if (Difference(program, expected, memory) is { } difference)
                    Assert.Fail($"program {i} on {engine}:\n{difference}");
            }
        }
    }

    private static string? Difference(PrivilegedProgram program, byte[] expected, byte[] actual)
    {
        ReadOnlySpan<ulong> want = Log(expected), have = Log(actual);
        int at = want.CommonPrefixLength(have);
        if (at == want.Length)
            return null;
        int tag = at;
        while (want[tag] >> 56 != PrivilegedProgram.Tag >> 56)
            tag--;
        int operation = (int)(want[tag] - PrivilegedProgram.Tag);
        var text = new StringBuilder();
        for (int i = Math.Max(0, operation - 4); i <= operation; i++)
            text.Append(CultureInfo.InvariantCulture, $"-- {i}\n{program[i]}\n");
        for (int i = Math.Max(0, tag - 12); i < at + 6; i++)
            text.Append(CultureInfo.InvariantCulture, $"{(i == at ? "*" : " ")} QEMU {want[i]:x16}, here {have[i]:x16}\n");
        return text.ToString();
    }

    private static ReadOnlySpan<ulong> Log(byte[] memory) => MemoryMarshal.Cast<byte, ulong>(memory.AsSpan(PrivilegedProgram.Log, 0x10_0000));
}
