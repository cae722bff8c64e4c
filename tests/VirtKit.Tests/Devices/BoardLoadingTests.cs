using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.RiscV;
using VirtKit.Tests.Boot;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Devices;

/// <summary>What is loaded onto a board in any order and size: it never overlaps, or is refused with the names of both.</summary>
public sealed class BoardLoadingTests
{
    [Theory]
    [InlineData(8, true)]
    [InlineData(10, true)]
    [InlineData(12, false)]
    [InlineData(16, false)]
    [InlineData(64, false)]
    public void LoadInitrd_BesideAKernelOfFiveMegabytes_LiesOutsideWhatItClaims(int megabytes, bool refused)
    {
        using RiscVVirt board = RiscV(megabytes);
        // The file is short: what the kernel zeroes itself makes the size.
        LinuxImage image = LinuxImage.Parse(LinuxImageTests.Sample(textOffset: 2 << 20, size: 5 << 20));
        Gpa kernel = image.Load(board.Machine.Memory, RiscVVirt.FirmwareAddress);
        byte[] initrd = new byte[2 << 20];
        if (refused)
        {
            var error = Assert.Throws<LoadOverlapException>(() => board.LoadInitrd(initrd));
            Assert.Equal(("the initial RAM disk", "the kernel"), (error.Wanted?.Name, error.Taken?.Name));
            return;
        }

        Gpa start = board.LoadInitrd(initrd);
        Assert.True(start >= kernel + image.MemorySize && start + (ulong)initrd.Length <= board.DeviceTreeAddress, $"{start}");
        board.BootSupervisor(kernel);
        Assert.Equal(["the kernel", "the initial RAM disk", "the device tree"], board.Machine.Memory.Loaded.Ranges.Select(range => range.Name));
    }

    [Fact]
    public void BootLinux_KernelIntoTheDeviceTreesPlace_IsRefused()
    {
        using RiscVVirt board = RiscV(8);
        byte[] kernel = LinuxImageTests.Sample(textOffset: 2 << 20, size: 6 << 20);
        var error = Assert.Throws<LoadOverlapException>(() => board.BootLinux(kernel));
        Assert.Equal(("the device tree", "the kernel"), (error.Wanted?.Name, error.Taken?.Name));
    }

    [Fact]
    public void LoadKernel_LinuxImage_ClaimsWhatItsHeaderSays()
    {
        using RiscVVirt board = RiscV(64);
        board.LoadKernel(LinuxImageTests.Sample(textOffset: 2 << 20, size: 5 << 20));
        Assert.Equal(5ul << 20, Assert.Single(board.Machine.Memory.Loaded.Ranges).Size);
        Assert.Throws<LoadOverlapException>(() => board.Machine.Memory.Loaded.Write("a host's data", RiscVVirt.KernelAddress + (4 << 20), [1]));
    }

    [Fact]
    public void LoadInitrd_Again_ReplacesTheOneBefore()
    {
        using RiscVVirt board = RiscV(16);
        Gpa first = board.LoadInitrd(new byte[4 << 20]);
        Assert.Equal(first, board.LoadInitrd(new byte[4 << 20]));
        board.Machine.Memory.Loaded.Claim("a host's data", RiscVVirt.KernelAddress, 4 << 20);
        Assert.Throws<LoadOverlapException>(() => board.LoadInitrd(new byte[9 << 20]));
        Assert.Equal(first, board.Machine.Memory.Loaded.Ranges.Single(range => range.Name == "the initial RAM disk").Start);
        Assert.Contains("linux,initrd-start", Chosen(board));
        board.LoadInitrd([]);
        Assert.DoesNotContain("linux,initrd-start", Chosen(board));
    }

    [Fact]
    public void Reset_AfterLoading_ForgetsTheInitrdAndLoadsAnew()
    {
        using RiscVVirt board = RiscV(16);
        byte[] kernel = LinuxImageTests.Sample(textOffset: 2 << 20, size: 1 << 20);
        for (int round = 0; round < 3; round++)
        {
            board.LoadInitrd(new byte[100]);
            board.BootLinux(kernel);
            Assert.Contains("linux,initrd-start", Chosen(board));
            board.Machine.Reset();
        }

        board.BootLinux(kernel);
        Assert.DoesNotContain("linux,initrd-start", Chosen(board));
    }

    [Fact]
    public void BootLinux_CommandLineBeyondAnOldKernelsLimit_IsRefused()
    {
        using var board = new RiscVVirt(new RiscVVirtOptions { Machine = RiscVMachine(), MemorySize = 16 << 20, CommandLine = new string('x', 512) });
        byte[] kernel = LinuxImageTests.Sample(textOffset: 2 << 20, size: 1 << 20);
        "Linux version 6.3.0 (b)"u8.CopyTo(kernel.AsSpan(0x400));
        Assert.Contains("at most 511 bytes, and the board's has 512", Assert.Throws<InvalidImageException>(() => board.BootLinux(kernel)).Message, StringComparison.Ordinal);
        "Linux version 6.4.0 (b)"u8.CopyTo(kernel.AsSpan(0x400));
        board.BootLinux(kernel);
    }

    [Theory]
    [InlineData(0x500, "the descriptor table of the kernel's entry")]
    [InlineData(0x7800, "the zero page")]
    [InlineData(0x9000, "the page tables of the kernel's entry")]
    [InlineData(0xefff, "the page tables of the kernel's entry")]
    [InlineData(0x2_0003, "the command line")]
    [InlineData(0xe_0100, "the ACPI tables")]
    public void BootLinux_HostsDataWhereTheBoardPutsItsOwn_IsRefused(ulong address, string name)
    {
        using X64MicroVm board = X64(16);
        board.Machine.Memory.Loaded.Write("the host's data", new Gpa(address), [1]);
        var error = Assert.Throws<LoadOverlapException>(() => board.BootLinux(ElfSample.Create(ElfMachine.X64, new Gpa(0x10_0000))));
        Assert.Equal((name, "the host's data"), (error.Wanted?.Name, error.Taken?.Name));
    }

    [Fact]
    public void BootLinux_DecompressedKernel_ClaimsWhatItNeedsBehindItsSegments()
    {
        using X64MicroVm board = X64(16);
        byte[] kernel = BzImageSample.Create(ElfSample.Create(ElfMachine.X64, new Gpa(0x10_0000)), initSize: 0x50_0000, preferred: 0x10_0000);
        board.BootLinux(kernel);
        Assert.Equal(0x50_0000ul, board.Machine.Memory.Loaded.Ranges.Single(range => range.Name == "the kernel").Size);
        Assert.Equal("the kernel", Assert.Throws<LoadOverlapException>(() => board.LoadInitrd(new byte[11 << 20])).Taken?.Name);
        Assert.True(board.LoadInitrd(new byte[10 << 20]).Value >= 0x60_0000);
    }

    [Fact]
    public void BootPvh_EntryOutsideTheKernel_IsRefusedAndLoadsNothing()
    {
        using X64MicroVm board = X64(16);
        byte[] file = BootFuzzTests.PvhSample(new Gpa(0x20_0000));
        Assert.Contains("PVH entry, 0x1000000, lies in none", Assert.Throws<InvalidImageException>(() => board.BootPvh(file)).Message, StringComparison.Ordinal);
        Assert.Empty(board.Machine.Memory.Loaded.Ranges);
    }

    [Fact]
    public void Load_RandomOrderAndSizes_NeverOverlaps()
    {
        Random random = Seed.Usual(1);
        for (int round = 0; round < 30; round++)
        {
            int megabytes = 2 * random.Next(4, 16);
            using RiscVVirt board = RiscV(megabytes);
            int initrdSize = random.Next(1, megabytes << 20);
            byte[] kernel = LinuxImageTests.Sample(textOffset: 2 << 20, size: (ulong)random.Next(1, megabytes << 20));
            Action[] loads = [() => board.LoadInitrd(new byte[initrdSize]), () => LinuxImage.Parse(kernel).Load(board.Machine.Memory, RiscVVirt.FirmwareAddress), () => board.LoadFirmware(new byte[random.Next(1, 2 << 20)])];
            random.Shuffle(loads);
            foreach (Action load in loads.Append(() => board.BootSupervisor(RiscVVirt.KernelAddress)))
            {
                if (Record.Exception(load) is { } error)
                    Assert.True(error is LoadOverlapException or InvalidImageException or ArgumentException, error.ToString());
            }

            LoadedRange[] ranges = [.. board.Machine.Memory.Loaded.Ranges];
            for (int i = 1; i < ranges.Length; i++)
                Assert.True(ranges[i - 1].Last < ranges[i].Start, $"{ranges[i - 1]} and {ranges[i]}");
        }
    }

    private static string Chosen(RiscVVirt board) =>
        string.Join(' ', DeviceTree.Parse(board.BuildDeviceTree()).Find("/chosen")!.Properties.Select(property => property.Name));

    private static MachineOptions RiscVMachine() => new() { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = new StateOnlyEngine() };

    private static RiscVVirt RiscV(int megabytes) => new(new RiscVVirtOptions { Machine = RiscVMachine(), MemorySize = (ulong)megabytes << 20 });

    private static X64MicroVm X64(int megabytes) =>
        new(new X64MicroVmOptions { Machine = new MachineOptions { Architecture = new X64Architecture(), Engine = new StateOnlyEngine() }, MemorySize = (ulong)megabytes << 20, CommandLine = "quiet" });
}
