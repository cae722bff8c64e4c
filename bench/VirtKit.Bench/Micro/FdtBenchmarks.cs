using BenchmarkDotNet.Attributes;
using VirtKit.Boot;

namespace VirtKit.Bench.Micro;

/// <summary>Building a device tree as large as a board's: part of every machine's start.</summary>
[MemoryDiagnoser]
public class FdtBenchmarks
{
    /// <summary>How many devices the bus has.</summary>
    [Params(10)]
    public uint Devices { get; set; }

    /// <summary>A root, one CPU, memory and a bus with devices.</summary>
    [Benchmark]
    public byte[] BuildBoard()
    {
        var fdt = new FdtBuilder();
        uint controller = fdt.AllocatePhandle();
        fdt.BeginNode("").Cells("#address-cells", 2).Cells("#size-cells", 2).Strings("compatible", "riscv-virtio");
        fdt.BeginNode("cpus").Cells("#address-cells", 1).Cells("#size-cells", 0).Cells("timebase-frequency", 10_000_000);
        fdt.BeginNode("cpu@0").Strings("device_type", "cpu").Cells("reg", 0).Strings("riscv,isa", "rv64imafdc").Strings("mmu-type", "riscv,sv39").EndNode().EndNode();
        fdt.BeginNode("memory@80000000").Strings("device_type", "memory").Cells64("reg", 0x80000000, 256 << 20).EndNode();
        fdt.BeginNode("soc").Cells("#address-cells", 2).Cells("#size-cells", 2).Strings("compatible", "simple-bus").Flag("ranges");
        for (uint i = 0; i < Devices; i++)
        {
            ulong address = 0x10001000 + i * 0x1000;
            fdt.BeginNode($"virtio_mmio@{address:x}").Strings("compatible", "virtio,mmio").Cells64("reg", address, 0x1000)
                .Cells("interrupt-parent", controller).Cells("interrupts", i + 1).EndNode();
        }

        return fdt.EndNode().EndNode().ToArray();
    }
}
