using VirtKit.Boot.Acpi;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;
using Encoding = System.Text.Encoding;

namespace VirtKit.Tests.Devices;

/// <summary>The generation ID as a device, and as the boards describe it.</summary>
public sealed class VirtualMachineGenerationIdTests
{
    private static readonly Guid First = new("00112233-4455-6677-8899-aabbccddeeff");

    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheSpecificationSays()
    {
        var lines = new TestLines();
        var device = new VirtualMachineGenerationId(First, lines[0], Renew);
        using var script = new DeviceHarness(device, lines);
        script.Read("ID, first half", 0, 8);
        script.Read("ID, second half", 8, 8);
        script.Read("ID, second word", 4, 4);
        script.Read("ID, last byte", 15, 1);
        script.Read("behind the ID", 16, 8);
        script.Read("end of the page", 0xff8, 8);
        script.Write("ID", 0, 8, ulong.MaxValue);
        script.Read("ID, first half", 0, 8);
        Assert.Equal((First, 0), (device.Id, lines.Rises));
        script.Event("restored", device.OnRestored);
        script.Read("ID, first half", 0, 8);
        script.Read("ID, second half", 8, 8);
        Assert.Equal((new Guid("04030201-0605-0807-090a-0b0c0d0e0f10"), 1), (device.Id, lines.Rises));
        script.Event("reset", device.Reset);
        script.Read("ID, first half", 0, 8);
        Snapshot.Verify(script.Transcript);
    }

    [Fact]
    public void OnRestored_OfAGuestThatHasNotReadTheId_DoesNotInterruptIt()
    {
        var lines = new TestLines();
        var device = new VirtualMachineGenerationId(First, lines[0], Renew);
        device.Read(16, 8);
        device.OnRestored();
        Assert.True(device.Id != First && lines.Rises == 0);
        device.Read(8, 4);
        device.OnRestored();
        Assert.Equal(1, lines.Rises);
        device.Reset();
        device.OnRestored();
        Assert.Equal(1, lines.Rises);
    }

    [Fact]
    public void OnRestored_WithoutRenewal_KeepsTheIdAndTellsNothing()
    {
        var lines = new TestLines();
        var device = new VirtualMachineGenerationId(First, lines[0], null);
        device.OnRestored();
        Assert.Equal((First, 0), (device.Id, lines.Rises));
    }

    [Fact]
    public void DeviceTree_WithTheDevice_ReadsAsReviewed()
    {
        string dtc = Require.Program("dtc", "device-tree-compiler");
        using RiscVVirt board = RiscV(GenerationIdMode.Kept);
        string source = Encoding.ASCII.GetString(Tool.Run(dtc, board.BuildDeviceTree(), "-I", "dtb", "-O", "dts", "-W", "no-interrupt_provider"));
        string node = source[source.IndexOf("rng@", StringComparison.Ordinal)..];
        Snapshot.Verify(node[..node.IndexOf("};", StringComparison.Ordinal)]);
        using RiscVVirt without = RiscV(GenerationIdMode.Absent);
        Assert.DoesNotContain("vmgenid", Encoding.Latin1.GetString(without.BuildDeviceTree()), StringComparison.Ordinal);
    }

    /// <summary>ACPICA, which is Linux's interpreter too, evaluates ADDR and delivers the notification.</summary>
    [Fact]
    public void Acpi_AddressAndEvent_AreWhatAnInterpreterFinds()
    {
        string acpiexec = Require.Program("acpiexec", "acpica-tools");
        using X64MicroVm board = X64(GenerationIdMode.Kept);
        byte[] tables = board.BuildAcpiTables();
        int dsdt = tables.AsSpan().IndexOf("DSDT"u8);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("dsdt.dat"), tables[dsdt..(dsdt + BitConverter.ToInt32(tables, dsdt + 4))]);
        AttachedDevice placed = Assert.Single(board.Devices, d => d.Device is VirtualMachineGenerationId);
        Assert.Equal((0xfe00_8000ul, 9), (placed.Address.Value, Assert.Single(placed.Interrupts)));
        string name = Encoding.ASCII.GetString(tables.AsSpan(tables.AsSpan().IndexOf("VKIT0001"u8) - 10, 4));
        string address = Execute("ADDR"), told = Execute("GED_._EVT 9");
        Assert.Contains("Integer] = 00000000FE008000", address, StringComparison.Ordinal);
        Assert.Contains("Integer] = 0000000000000000", address, StringComparison.Ordinal);
        Assert.Contains($"[{name}]", told, StringComparison.Ordinal);
        Assert.Contains("Value 0x80", told, StringComparison.Ordinal);

        string Execute(string what) => Encoding.ASCII.GetString(Tool.Run(acpiexec, [], "-b", $"execute \\_SB.{name}.{what}", folder.File("dsdt.dat")));
    }

    [Theory]
    [InlineData(VcpuScheduling.Deterministic, null, false)]
    [InlineData(VcpuScheduling.Threads, null, true)]
    [InlineData(VcpuScheduling.Threads, 1, false)]
    public void Board_ThatSaysNothing_HasTheDeviceWhereItsNumbersAreTheHosts(VcpuScheduling scheduling, int? seed, bool has)
    {
        using var riscv = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = new StateOnlyEngine(), Scheduling = scheduling },
            Seed = seed,
        });
        Assert.Equal(has, riscv.Devices.Any(d => d.Device is VirtualMachineGenerationId));
        using var x64 = new X64MicroVm(new X64MicroVmOptions
        {
            Machine = new MachineOptions { Architecture = new X64Architecture(), Engine = new StateOnlyEngine(), Scheduling = scheduling },
            Seed = seed,
        });
        Assert.Equal(has, x64.Devices.Any(d => d.Device is VirtualMachineGenerationId));
    }

    [Fact]
    public void Board_WithAnUnknownMode_IsRefused() =>
        Assert.Contains("GenerationId: there is no GenerationIdMode 7", Assert.Throws<ArgumentException>(() => RiscV((GenerationIdMode)7)).Message, StringComparison.Ordinal);

    [Fact]
    public void AmlBuilder_MethodThatCannotBe_IsRefused()
    {
        var aml = new AmlBuilder();
        Assert.Throws<ArgumentOutOfRangeException>(() => aml.BeginMethod("_EVT", 8));
        Assert.Throws<ArgumentOutOfRangeException>(() => aml.BeginMethod("_EVT", -1));
        Assert.Throws<ArgumentException>(() => aml.BeginMethod("EVT", 1));
        Assert.Throws<ArgumentException>(() => aml.Notify("dev0", 0x80));
    }

    private static void Renew(Span<byte> id)
    {
        for (int i = 0; i < id.Length; i++)
            id[i] = (byte)(i + 1);
    }

    private static RiscVVirt RiscV(GenerationIdMode mode) => new(new RiscVVirtOptions
    {
        Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = new StateOnlyEngine() },
        GenerationId = mode,
    });

    private static X64MicroVm X64(GenerationIdMode mode) => new(new X64MicroVmOptions
    {
        Machine = new MachineOptions { Architecture = new X64Architecture(), Engine = new StateOnlyEngine() },
        GenerationId = mode,
    });
}
