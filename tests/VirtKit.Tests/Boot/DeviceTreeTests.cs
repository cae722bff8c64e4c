using System.Buffers.Binary;
using System.Text;
using VirtKit.Boot;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

public sealed class DeviceTreeTests
{
    [Fact]
    public void Builder_SampleTree_DecompilesAsWritten()
    {
        string dtc = Require.Program("dtc", "device-tree-compiler");
        Snapshot.Verify(Encoding.UTF8.GetString(Tool.Run(dtc, Sample(), "-q", "-I", "dtb", "-O", "dts", "-")));
    }

    [Fact]
    public void Parse_TreeFromBuilder_FindsEveryValue()
    {
        DeviceTree tree = DeviceTree.Parse(Sample());
        Assert.Equal((new Gpa(0x8000_0000), 0x20_0000UL), Assert.Single(tree.Reservations));
        Assert.Equal("", tree.Root.Name);
        Assert.Equal([2u], tree.Root.Property("#address-cells")!.Cells());
        DeviceTreeNode uart = tree.Find("/soc/serial@10000000")!;
        Assert.True(uart.IsCompatible("ns16550a"));
        Assert.False(uart.IsCompatible("ns16550"));
        Assert.Equal([0x1000_0000UL, 0x100UL], uart.Property("reg")!.Cells64());
        Assert.Equal(0, uart.Property("dma-coherent")!.Value.Length);
        Assert.Equal(["soc", "serial@10000000", "chosen"], tree.Root.Descendants().Select(n => n.Name));
        Assert.Null(tree.Find("/soc/serial"));
        Assert.Same(tree.Root, tree.Find("/"));
    }

    [Fact]
    public void Parse_TreeFromDtc_FindsEveryValue()
    {
        string dtc = Require.Program("dtc", "device-tree-compiler");
        byte[] source = Encoding.ASCII.GetBytes("/dts-v1/; /memreserve/ 0x1000 0x2000; / { a = <1 2>; /* c */ n1 { s = \"x\", \"y\"; n2 { b = [0102]; }; }; n3 { }; };");
        DeviceTree tree = DeviceTree.Parse(Tool.Run(dtc, source, "-q", "-I", "dts", "-O", "dtb", "-"));
        Assert.Equal([1u, 2u], tree.Root.Property("a")!.Cells());
        Assert.Equal(["x", "y"], tree.Find("/n1")!.Property("s")!.Strings());
        Assert.Equal([1, 2], tree.Find("/n1/n2")!.Property("b")!.Value.ToArray());
        Assert.NotNull(tree.Find("/n3"));
        Assert.Equal((new Gpa(0x1000), 0x2000UL), Assert.Single(tree.Reservations));
    }

    [Fact]
    public void Parse_EveryTruncation_IsRefused()
    {
        byte[] blob = Sample();
        for (int length = 0; length < blob.Length; length++)
            Assert.Throws<InvalidImageException>(() => DeviceTree.Parse(blob.AsMemory(0, length)));
    }

    [Theory]
    [InlineData(0, 0xd00dfeeeu, "Not a flattened device tree")]
    [InlineData(8, 2u, "structure block")]
    [InlineData(8, 0xffff_fffcu, "structure block")]
    [InlineData(12, 0xffff_ffffu, "strings block")]
    [InlineData(16, 4u, "reservation block")]
    [InlineData(16, 0xffff_fff8u, "reservation block")]
    [InlineData(20, 15u, "version 15")]
    [InlineData(24, 18u, "compatible back to 18")]
    [InlineData(32, 0u, "name outside the strings block")]
    [InlineData(36, 0u, "no end")]
    public void Parse_DamagedHeader_IsRefusedWithItsReason(int offset, uint value, string reason)
    {
        byte[] blob = Sample();
        BinaryPrimitives.WriteUInt32BigEndian(blob.AsSpan(offset), value);
        Assert.Contains(reason, Assert.Throws<InvalidImageException>(() => DeviceTree.Parse(blob)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DeviceTree.MaxDepth, true)]
    [InlineData(DeviceTree.MaxDepth + 1, false)]
    public void Parse_DeepTree_StopsAtTheLimit(int depth, bool accepted)
    {
        var fdt = new FdtBuilder();
        for (int i = 0; i < depth; i++)
            fdt.BeginNode(i == 0 ? "" : "n");
        for (int i = 0; i < depth; i++)
            fdt.EndNode();
        byte[] blob = fdt.ToArray();
        if (accepted)
            Assert.Equal(depth - 1, DeviceTree.Parse(blob).Root.Descendants().Count());
        else
            Assert.Throws<InvalidImageException>(() => DeviceTree.Parse(blob));
    }

    [Fact]
    public void Property_OfAnotherType_IsRefused()
    {
        byte[] blob = new FdtBuilder().BeginNode("").Bytes("odd", [1, 2, 3]).EndNode().ToArray();
        DeviceTreeProperty odd = DeviceTree.Parse(blob).Root.Property("odd")!;
        Assert.Throws<InvalidImageException>(() => odd.Cells());
        Assert.Throws<InvalidImageException>(() => odd.Cells64());
        Assert.Throws<InvalidImageException>(() => odd.Strings());
    }

    [Fact]
    public void Builder_MisusedNesting_Throws()
    {
        Assert.Throws<InvalidOperationException>(() => new FdtBuilder().Flag("x"));
        Assert.Throws<InvalidOperationException>(() => new FdtBuilder().ToArray());
        Assert.Throws<InvalidOperationException>(() => new FdtBuilder().BeginNode("").ToArray());
        Assert.Throws<InvalidOperationException>(() => new FdtBuilder().BeginNode("").EndNode().BeginNode("b"));
        Assert.Throws<InvalidOperationException>(() => new FdtBuilder().BeginNode("").BeginNode("b").EndNode().Flag("late"));
    }

    internal static byte[] Sample() => new FdtBuilder()
        .Reserve(new Gpa(0x8000_0000), 0x20_0000)
        .BeginNode("")
        .Cells("#address-cells", 2).Cells("#size-cells", 2).Strings("compatible", "virtkit,sample")
        .BeginNode("soc")
        .Cells("#address-cells", 2).Cells("#size-cells", 2).Strings("compatible", "simple-bus").Flag("ranges")
        .BeginNode("serial@10000000")
        .Cells64("reg", 0x1000_0000, 0x100).Strings("compatible", "vendor,uart", "ns16550a").Flag("dma-coherent").Bytes("mac", [1, 2, 3, 4, 5, 6])
        .EndNode()
        .EndNode()
        .BeginNode("chosen").Strings("bootargs", "console=hvc0").EndNode()
        .EndNode()
        .ToArray();
}
