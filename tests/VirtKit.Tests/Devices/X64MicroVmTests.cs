using System.Buffers.Binary;
using System.Text;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Storage;
using VirtKit.Tests.Boot;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Devices;

public sealed class X64MicroVmTests
{
    [Fact]
    public void Acpi_TwoProcessors_DecompilesAsReviewed()
    {
        string iasl = Require.Program("iasl", "acpica-tools");
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(2) });
        var text = new StringBuilder();
        foreach ((string signature, byte[] table) in Tables(board.BuildAcpiTables()))
        {
            using var folder = new TemporaryFolder();
            File.WriteAllBytes(folder.File(signature + ".dat"), table);
            Tool.Run(iasl, [], "-d", folder.File(signature + ".dat"));
            // Comments name the tool's version and the date.
            string source = File.ReadAllText(folder.File(signature + ".dsl"));
            int end = source.IndexOf("*/", StringComparison.Ordinal) + 2;
            text.Append("== ").Append(signature).Append('\n').Append(source[end..].Trim()).Append('\n');
        }

        Snapshot.Verify(text.ToString());
    }

    [Fact]
    public void Acpi_EveryTable_SumsToZero()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1) });
        byte[] image = board.BuildAcpiTables();
        Assert.Equal(0, image.Take(20).Sum(b => b) & 0xff);
        Assert.Equal(0, image.Take(36).Sum(b => b) & 0xff);
        Assert.All(Tables(image), table => Assert.Equal(0, table.Content.Sum(b => b) & 0xff));
        Assert.Equal(["XSDT", "FACP", "APIC", "DSDT"], Tables(image).Select(table => table.Signature));
    }

    [Fact]
    public void BootLinux_Elf_EntersLongModeWithTheZeroPage()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 32 << 20, CommandLine = "console=ttyS0" });
        Gpa initrd = board.LoadInitrd(new byte[5000]);
        Assert.Equal(0x1ff_e000ul, initrd.Value);
        board.BootLinux(Kernel());
        X64State state = board.Machine.Vcpus[0].GetState<X64State>();
        Assert.Equal((0x10_0004ul, 0x7000ul, 0x500ul, true, 0xfee0_0900ul), (state.Registers.Rip, state.Registers.Rsi, state.Efer, state.Cs.Long, state.ApicBase));
        Span<byte> line = stackalloc byte[14];
        board.Machine.Memory.Read(new Gpa(0x2_0000), line);
        Assert.Equal("console=ttyS0\0", Encoding.ASCII.GetString(line));
        Assert.True(board.Machine.Memory.TryRead(new Gpa(0x7218), out uint place));
        Assert.Equal(initrd.Value, place);
        // The identity map's last page.
        Assert.True(board.Machine.Memory.TryRead(new Gpa(0xeff8), out ulong entry));
        Assert.Equal(0xffe0_0083ul, entry);
    }

    [Fact]
    public void BootPvh_WithoutAnEntry_IsRefused()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 32 << 20 });
        Assert.Throws<InvalidImageException>(() => board.BootPvh(Kernel()));
        Assert.Throws<InvalidImageException>(() => board.BootLinux(new byte[100]));
    }

    [Fact]
    public void BootLinux_CommandLineBeyondTheKernelsLimit_IsRefusedWithBoth()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 32 << 20, CommandLine = new string('x', 256) });
        byte[] kernel = BzImageSample.Create(Kernel(), preferred: 0x10_0000);
        board.BootLinux(kernel);
        BinaryPrimitives.WriteUInt32LittleEndian(kernel.AsSpan(0x238), 255);
        Assert.Equal("The kernel takes a command line of at most 255 bytes, and the board's has 256.", Assert.Throws<InvalidImageException>(() => board.BootLinux(kernel)).Message);
    }

    [Fact]
    public void LoadInitrd_WithoutRoom_IsRefused()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 16 << 20 });
        Assert.Equal(0x10_0000ul, board.LoadInitrd(new byte[15 << 20]).Value);
        Assert.Contains("does not fit into memory", Assert.Throws<ArgumentException>(() => board.LoadInitrd(new byte[(15 << 20) + 1])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LoadInitrd_MoreThan2GiBOfRam_StaysBelow()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 4ul << 30 });
        Assert.Equal(0x7fff_e000ul, board.LoadInitrd(new byte[5000]).Value);
    }

    [Theory]
    [InlineData(0xf_f000, 0, "above 1 MiB")] // below 1 MiB, where the board's tables are
    [InlineData(0xff_f000, 0, "does not lie in the machine's memory")] // past the end of RAM
    [InlineData(0xff_ffff_f000, 0, "does not lie in the machine's memory")]
    [InlineData(0x10_0000, 15 << 20, "overlaps the initial RAM disk at 0x100000, 15728640 bytes")] // under the initial RAM disk
    [InlineData(0xef_d000, 1 << 20, null)] // up to the initial RAM disk
    [InlineData(0xef_f000, 1 << 20, "overlaps the initial RAM disk at 0xf00000, 1048576 bytes")]
    public void BootLinux_KernelBesideOrUnderSomethingElse_IsRefusedUnlessItFits(ulong address, int initrd, string? reason)
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 16 << 20 });
        byte[] elf = ElfSample.Create(ElfMachine.X64, new Gpa(address)), compressed = BzImageSample.Create([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0], initSize: 0x1008, preferred: address);
        foreach (byte[] kernel in new[] { elf, compressed })
        {
            board.Machine.Reset();
            board.LoadInitrd(new byte[initrd]);
            Exception? error = Record.Exception(() => board.BootLinux(kernel));
            Assert.Equal(reason is null, error is null);
            if (reason is null)
                continue;
            Assert.True(error is InvalidImageException or LoadOverlapException, error!.ToString());
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void BootLinux_KernelLargerThanRam_IsRefused()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 16 << 20 });
        byte[] kernel = BzImageSample.Create([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0], initSize: 0x100_0000, preferred: 0x10_0000);
        Assert.Contains("16777216 bytes, does not lie", Assert.Throws<InvalidImageException>(() => board.BootLinux(kernel)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MemoryMap_MoreThan3GiB_GoesOnAbove4GiB()
    {
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 4ul << 30 });
        Assert.Equal(new MemoryMapEntry(new Gpa(0x1_0000_0000), 1 << 30, MemoryMapKind.Usable), board.MemoryMap[^1]);
        Assert.Equal(0xc000_0000ul, board.MemoryMap[^2].Start.Value + board.MemoryMap[^2].Size);
    }

    [Fact]
    public void Options_OutOfRange_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Build(new X64MicroVmOptions { Machine = Options(1), MemorySize = 1 << 20 }));
        Assert.Throws<ArgumentException>(() => Build(new X64MicroVmOptions { Machine = Options(1), CommandLine = new string('x', 3000) }));
        Assert.Throws<ArgumentException>(() => Build(new X64MicroVmOptions { Machine = Options(1), CommandLine = "quiet\0init=/bin/sh" }));
        using (Build(new X64MicroVmOptions { Machine = Options(1), CommandLine = new string('x', 2047) }))
            Assert.Throws<ArgumentException>(() => Build(new X64MicroVmOptions { Machine = Options(1), CommandLine = new string('ü', 1024) }));
        IBlockBackend disk = new MemoryBlockBackend(512);
        Assert.Throws<ArgumentException>(() => Build(new X64MicroVmOptions { Machine = Options(1), Disks = [.. Enumerable.Repeat(disk, 8)] }));
    }

    [Fact]
    public void Devices_AtTheirPlaces_Answer()
    {
        var console = new MemoryConsole();
        using X64MicroVm board = Build(new X64MicroVmOptions { Machine = Options(1), Console = console });
        AddressSpace ports = board.Machine.Ports!, memory = board.Machine.Memory;
        Assert.True(ports.TryStore(new Gpa(0x3f8), 1, 'x'));
        Assert.Equal("x", console.Output);
        foreach (ulong port in new ulong[] { 0x20, 0x21, 0x40, 0x43, 0x61, 0x64, 0x70, 0x71, 0xa0, 0xf4, 0x4d0, 0x600, 0xcf9 })
            Assert.True(ports.TryLoad(new Gpa(port), 1, out _), $"port {port:x}");
        // The local APICs' page is each processor's own: the engine shows it.
        Assert.False(memory.TryLoad(new Gpa(0xfee0_0030), 4, out _));
        Assert.True(memory.TryLoad(new Gpa(0xfec0_0000), 4, out _));
        Assert.True(memory.TryLoad(new Gpa(0xfe00_0000), 4, out ulong magic));
        Assert.Equal(0x7472_6976ul, magic);
    }

    private static byte[] Kernel() => ElfSample.Create(ElfMachine.X64, new Gpa(0x10_0000));

    private static MachineOptions Options(int vcpus) => new() { Architecture = new X64Architecture(), Engine = new StateOnlyEngine(), VcpuCount = vcpus };

    private static X64MicroVm Build(X64MicroVmOptions options) => new(options);

    /// <summary>The tables as the RSDP leads to them.</summary>
    private static List<(string Signature, byte[] Content)> Tables(byte[] image)
    {
        const int start = 0xe_0000;
        byte[] xsdt = At(BinaryPrimitives.ReadUInt64LittleEndian(image.AsSpan(24)));
        byte[] fadt = At(BinaryPrimitives.ReadUInt64LittleEndian(xsdt.AsSpan(36))), madt = At(BinaryPrimitives.ReadUInt64LittleEndian(xsdt.AsSpan(44)));
        byte[] dsdt = At(BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(140)));
        return [.. new[] { xsdt, fadt, madt, dsdt }.Select(table => (Encoding.ASCII.GetString(table, 0, 4), table))];

        byte[] At(ulong address)
        {
            int offset = (int)(address - start);
            return image[offset..(offset + BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(offset + 4)))];
        }
    }
}
