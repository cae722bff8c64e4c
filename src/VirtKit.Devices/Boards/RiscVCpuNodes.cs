using System.Globalization;
using VirtKit.Boot;
using VirtKit.RiscV;

namespace VirtKit.Devices.Boards;

/// <summary>The <c>/cpus</c> node of a RISC-V board.</summary>
internal static class RiscVCpuNodes
{
    private const uint CacheBlockSize = 64;

    /// <summary>Describes harts from 0 on, each with its interrupt controller under the given phandle.</summary>
    public static void Describe(FdtBuilder fdt, RiscVArchitecture architecture, uint[] interruptControllers)
    {
        string[] extensions = Extensions(architecture.Isa);
        uint[] cpus = AllocatePhandles(fdt, interruptControllers.Length);
        fdt.BeginNode("cpus").Cells("#address-cells", 1).Cells("#size-cells", 0).Cells("timebase-frequency", architecture.TimebaseFrequency);
        for (int hart = 0; hart < cpus.Length; hart++)
        {
            fdt.BeginNode(string.Create(CultureInfo.InvariantCulture, $"cpu@{hart:x}")).Strings("device_type", "cpu").Cells("reg", (uint)hart)
                .Strings("status", "okay").Strings("compatible", "riscv").Strings("riscv,isa", architecture.Isa)
                .Strings("riscv,isa-base", "rv64i").Strings("riscv,isa-extensions", extensions).Strings("mmu-type", "riscv,sv57");
            if (extensions.Contains("zicbom"))
                fdt.Cells("riscv,cbom-block-size", CacheBlockSize);
            if (extensions.Contains("zicboz"))
                fdt.Cells("riscv,cboz-block-size", CacheBlockSize);
            fdt.Cells("phandle", cpus[hart]);
            fdt.BeginNode("interrupt-controller").Strings("compatible", "riscv,cpu-intc").Flag("interrupt-controller").Cells("#interrupt-cells", 1)
                .Cells("#address-cells", 0).Cells("phandle", interruptControllers[hart]).EndNode();
            fdt.EndNode();
        }

        fdt.BeginNode("cpu-map").BeginNode("cluster0");
        for (int hart = 0; hart < cpus.Length; hart++)
            fdt.BeginNode(string.Create(CultureInfo.InvariantCulture, $"core{hart}")).Cells("cpu", cpus[hart]).EndNode();
        fdt.EndNode().EndNode().EndNode();
    }

    /// <summary>A phandle for each hart.</summary>
    public static uint[] AllocatePhandles(FdtBuilder fdt, int harts)
    {
        uint[] phandles = new uint[harts];
        for (int hart = 0; hart < harts; hart++)
            phandles[hart] = fdt.AllocatePhandle();
        return phandles;
    }

    /// <summary>The names in an ISA string: the letters after <c>rv64</c>, then what stands between underscores.</summary>
    private static string[] Extensions(string isa)
    {
        string[] parts = isa.ToLowerInvariant().Split('_', StringSplitOptions.RemoveEmptyEntries);
        var names = new List<string>();
        if (parts.Length > 0 && parts[0].StartsWith("rv64", StringComparison.Ordinal))
        {
            foreach (char letter in parts[0].AsSpan(4))
                names.Add(letter.ToString());
        }

        return [.. names, .. parts.Skip(1)];
    }
}
