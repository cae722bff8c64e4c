using System.Diagnostics;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class RiscVVirtTests
{
    [Fact]
    public void DeviceTree_TwoHarts_ReadsAsReviewed()
    {
        using RiscVVirt board = Build(new RiscVVirtOptions { CommandLine = "console=ttyS0", Disks = [new MemoryBlockBackend(512)] }, sbi: true, harts: 2);
        board.LoadInitrd(new byte[5000]);
        Snapshot.Verify(Decompile(board.BuildDeviceTree(), out string warnings));
        Assert.Equal("", warnings);
    }

    [Fact]
    public void DeviceTree_AgainstQemu_PlacesDevicesAlike()
    {
        string qemu = Require.Program("qemu-system-riscv64", "qemu-system-misc");
        string path = Path.GetTempFileName();
        try
        {
            Run(qemu, ["-M", "virt,dumpdtb=" + path, "-smp", "2", "-m", "256", "-nographic"], out _);
            Dictionary<string, string> theirs = Places(Decompile(File.ReadAllBytes(path), out _));
            using RiscVVirt board = Build(new RiscVVirtOptions(), sbi: false, harts: 2);
            Dictionary<string, string> ours = Places(Decompile(board.BuildDeviceTree(), out _));
            foreach (string node in theirs.Keys.Except(["fw-cfg@10100000", "flash@20000000", "pci@30000000"]))
                Assert.Equal((node, theirs[node]), (node, ours.GetValueOrDefault(node, "missing")));
            Assert.True(theirs.Count > 15);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void BootSupervisor_TwoHarts_StartsTheFirstOnly()
    {
        using RiscVVirt board = Build(new RiscVVirtOptions(), sbi: true, harts: 2);
        board.LoadKernel([1, 2, 3]);
        board.BootSupervisor(RiscVVirt.KernelAddress);
        RiscVState first = board.Machine.Vcpus[0].GetState<RiscVState>(), second = board.Machine.Vcpus[1].GetState<RiscVState>();
        Assert.Equal((0x8020_0000ul, PrivilegeMode.Supervisor, true, 0ul, board.DeviceTreeAddress.Value),
            (first.Pc, first.Privilege, first.Started, first.X[10], first.X[11]));
        Assert.False(second.Started);
        Assert.Equal(0x8fe0_0000ul, board.DeviceTreeAddress.Value);
        Assert.True(board.Machine.Memory.TryRead(board.DeviceTreeAddress, out uint magic));
        Assert.Equal(0xedfe0dd0, magic);
        Assert.Throws<InvalidOperationException>(() => board.BootFirmware(RiscVVirt.FirmwareAddress, RiscVVirt.KernelAddress));
    }

    [Fact]
    public void BootFirmware_TwoHarts_StartsBothWithDynamicInformation()
    {
        using RiscVVirt board = Build(new RiscVVirtOptions(), sbi: false, harts: 2);
        board.LoadFirmware([1]);
        board.BootFirmware(RiscVVirt.FirmwareAddress, RiscVVirt.KernelAddress);
        foreach (Vcpu hart in board.Machine.Vcpus)
        {
            RiscVState state = hart.GetState<RiscVState>();
            Assert.Equal((0x8000_0000ul, PrivilegeMode.Machine, true, (ulong)hart.Index), (state.Pc, state.Privilege, state.Started, state.X[10]));
            byte[] information = new byte[48];
            board.Machine.Memory.Read(new Gpa(state.X[12]), information);
            Assert.Equal([0x4942534f, 2, 0x8020_0000, 1, 0, 0], Enumerable.Range(0, 6).Select(i => BitConverter.ToUInt64(information, i * 8)));
        }
    }

    [Theory]
    [InlineData(256, 1000, 0x8820_0000ul)]
    [InlineData(8, 1 << 20, 0x8060_0000ul - (1 << 20))]
    [InlineData(4096, 1000, 0xa020_0000ul)]
    public void LoadInitrd_MemoryOfAnySize_LiesBetweenKernelAndDeviceTree(int megabytes, int size, ulong expected)
    {
        using RiscVVirt board = Build(new RiscVVirtOptions { MemorySize = (ulong)megabytes << 20 }, sbi: true, harts: 1);
        Assert.Equal(expected, board.LoadInitrd(new byte[size]).Value);
        Assert.True(board.DeviceTreeAddress.Value >= expected + (ulong)size);
    }

    [Fact]
    public void Load_ImageTooLong_IsRefused()
    {
        using RiscVVirt board = Build(new RiscVVirtOptions { MemorySize = 8 << 20 }, sbi: true, harts: 1);
        Assert.Throws<ArgumentException>(() => board.LoadFirmware(new byte[(2 << 20) + 1]));
        Assert.Throws<ArgumentException>(() => board.LoadKernel(new byte[5 << 20]));
        Assert.Throws<ArgumentException>(() => board.LoadInitrd(new byte[5 << 20]));
    }

    [Fact]
    public void Options_OutOfRange_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Build(new RiscVVirtOptions { MemorySize = 1 << 20 }, sbi: true, harts: 1));
        Assert.Contains("at most 1023 bytes, and this one has 2000", Assert.Throws<ArgumentException>(() => Build(new RiscVVirtOptions { CommandLine = new string('x', 2000) }, sbi: true, harts: 1)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Build(new RiscVVirtOptions { CommandLine = "quiet\0init=/bin/sh" }, sbi: true, harts: 1));
        Assert.Throws<ArgumentNullException>(() => Build(new RiscVVirtOptions { CommandLine = null! }, sbi: true, harts: 1));
        using (Build(new RiscVVirtOptions { CommandLine = new string('x', 1023) }, sbi: true, harts: 1))
            Assert.Throws<ArgumentException>(() => Build(new RiscVVirtOptions { CommandLine = new string('ü', 512) }, sbi: true, harts: 1));
        IBlockBackend disk = new MemoryBlockBackend(512);
        Assert.Throws<ArgumentException>(() => Build(new RiscVVirtOptions { Disks = [.. Enumerable.Repeat(disk, 8)] }, sbi: true, harts: 1));
    }

    [Fact]
    public void Devices_AtTheirPlaces_Answer()
    {
        var console = new MemoryConsole();
        using RiscVVirt board = Build(new RiscVVirtOptions
        {
            Console = console,
            VirtioConsole = new MemoryConsole(),
            Disks = [new MemoryBlockBackend(512)],
            Networks = [new NetworkSwitch().AddPort()],
        }, sbi: true, harts: 1);
        AddressSpace memory = board.Machine.Memory;
        Assert.True(memory.TryStore(new Gpa(0x1000_0000), 1, 'x'));
        Assert.Equal("x", console.Output);
        ulong[] ids = [.. Enumerable.Range(0, 8).Select(i => memory.TryLoad(new Gpa(0x1000_1008 + (ulong)i * 0x1000), 4, out ulong id) ? id : 99)];
        Assert.Equal([2, 1, 3, 4, 0, 0, 0, 0], ids);
        Assert.True(memory.TryLoad(new Gpa(0x200_bff8), 8, out _));
        Assert.True(memory.TryLoad(new Gpa(0xc20_1004), 4, out _));
        Assert.True(memory.TryLoad(new Gpa(0x10_1000), 4, out _));
    }

    private static RiscVVirt Build(RiscVVirtOptions options, bool sbi, int harts) => new(options with
    {
        Machine = new MachineOptions
        {
            Architecture = new RiscVArchitecture { Sbi = sbi ? new SbiOptions() : null },
            Engine = new StateOnlyEngine(),
            VcpuCount = harts,
        },
    });

    private static string Decompile(byte[] blob, out string warnings)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, blob);
            return Run(Require.Program("dtc", "device-tree-compiler"), ["-I", "dtb", "-O", "dts", "-W", "no-interrupt_provider", path], out warnings);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Run(string program, string[] arguments, out string errors)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        errors = error.GetAwaiter().GetResult();
        return output;
    }

    /// <summary>Each node with a unit address, and what tells a driver where it is: compatible, reg's address and interrupts.</summary>
    private static Dictionary<string, string> Places(string source)
    {
        var places = new Dictionary<string, string>();
        var open = new Stack<string>();
        foreach (string line in source.Split('\n').Select(l => l.Trim()))
        {
            if (line.EndsWith('{'))
                open.Push(line[..^1].Trim());
            else if (line == "};" && open.Count > 0)
                open.Pop();
            else if (open.TryPeek(out string? node) && node.Contains('@') && !node.StartsWith("platform-bus", StringComparison.Ordinal)
                && (line.StartsWith("interrupts =", StringComparison.Ordinal) || (line.StartsWith("compatible =", StringComparison.Ordinal))
                    || (line.StartsWith("reg =", StringComparison.Ordinal) && !node.StartsWith("serial", StringComparison.Ordinal))))
                places[node] = string.Join(' ', places.GetValueOrDefault(node, "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Append(line.TrimEnd(';')).Order(StringComparer.Ordinal).Select(l => l + ";"));
        }

        return places;
    }
}
