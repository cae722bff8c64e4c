using VirtKit.Accel.Kvm;
using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Spine;

public sealed class EngineSelectionTests
{
    [Fact]
    public void Choose_OfSeveral_IsTheFirstThatCan()
    {
        EngineSelection selection = EngineSelection.Choose(new FakeArchitecture(), [new Named("slow", null), new Named("slower", null)], []);
        Assert.Equal("slow: The fastest engine that runs fake here.", selection.ToString());
        Assert.Empty(selection.Refused);
    }

    [Theory]
    [InlineData("the processor is old", "no device", "third: The fastest engine that runs fake here. Not first: the processor is old Not second: no device")]
    [InlineData("the processor is old", null, "second: The fastest engine that runs fake here. Not first: the processor is old")]
    public void Choose_WithFasterOnesThatCannot_SaysWhyEachIsPassedOver(string first, string? second, string expected)
    {
        EngineSelection selection = EngineSelection.Choose(new FakeArchitecture(), [new Named("first", first), new Named("second", second), new Named("third", null)], []);
        Assert.Equal(expected, selection.ToString());
        Assert.Equal(new EngineRefusal("first", first), selection.Refused[0]);
    }

    [Fact]
    public void Choose_WithoutTheAcceleratedEngines_NamesThePackage()
    {
        EngineSelection selection = EngineSelection.Choose(new RiscVArchitecture(), [new InterpreterEngine()], [new EngineRefusal("VirtKit.Accel", "It is not referenced.")]);
        Assert.Equal("interpreter: The fastest engine that runs riscv64 here. Not VirtKit.Accel: It is not referenced.", selection.ToString());
    }

    [Fact]
    public void Choose_WithoutAnyThatCan_ThrowsEveryReason()
    {
        var error = Assert.Throws<VirtKitException>(() => EngineSelection.Choose(new FakeArchitecture()));
        Assert.StartsWith("No engine runs fake here. Not translator: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("Not kvm: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("Not interpreter: ", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => EngineSelection.Choose(null!));
    }

    [Fact]
    public void Machine_WithoutAnEngine_TakesTheFastestForRiscV()
    {
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture() });
        bool translates = new TranslatorEngine().Supports(new RiscVArchitecture(), out string? reason);
        Assert.Equal(translates ? "translator" : "interpreter", machine.Engine.Name);
        Assert.Equal(VcpuScheduling.Deterministic, machine.Scheduling);
        Assert.Equal(translates ? [] : [new EngineRefusal("translator", reason!)], machine.EngineSelection.Refused.Where(r => r.Engine == "translator"));
        // What an engine has found out about the host is found out once.
        Assert.Same(machine.Engine, EngineSelection.Choose(new RiscVArchitecture()).Engine);
    }

    [Fact]
    public void Machine_WithoutAnEngine_TakesKvmForX64AndTheHostsTime()
    {
        Assert.SkipUnless(new KvmEngine().Supports(new X64Architecture(), out string? reason), reason ?? "");
        using var machine = new Machine(new MachineOptions { Architecture = new X64Architecture() });
        Assert.Equal(("kvm", VcpuScheduling.Threads), (machine.Engine.Name, machine.Scheduling));
    }

    [Fact]
    public void Machine_WithAnEngine_TakesThatOne()
    {
        var engine = new InterpreterEngine();
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine });
        Assert.Same(engine, machine.Engine);
        Assert.Equal("interpreter: The options name it.", machine.EngineSelection.ToString());
    }

    [Theory]
    [InlineData(true, null, VcpuScheduling.Deterministic)]
    [InlineData(false, null, VcpuScheduling.Threads)]
    [InlineData(true, VcpuScheduling.Threads, VcpuScheduling.Threads)]
    [InlineData(false, VcpuScheduling.Threads, VcpuScheduling.Threads)]
    [InlineData(true, VcpuScheduling.Deterministic, VcpuScheduling.Deterministic)]
    public void Scheduling_ByDefault_FollowsWhetherTheEngineCounts(bool counts, VcpuScheduling? asked, VcpuScheduling expected)
    {
        using var machine = new Machine(new MachineOptions { Architecture = new FakeArchitecture(), Engine = new Named("fake", null, counts), Scheduling = asked });
        Assert.Equal(expected, machine.Scheduling);
    }

    [Fact]
    public void Scheduling_DeterministicWithAnEngineThatCannotCount_IsRefusedWithBothNames()
    {
        var error = Assert.Throws<ArgumentException>(() => new Machine(new MachineOptions
        {
            Architecture = new FakeArchitecture(), Engine = new Named("fake", null, counts: false), Scheduling = VcpuScheduling.Deterministic,
        }));
        Assert.Contains("engine fake does not count", error.Message, StringComparison.Ordinal);
        Assert.Contains("Threads", error.Message, StringComparison.Ordinal);
    }

    /// <summary>An engine that can or says why not.</summary>
    private sealed class Named(string name, string? objection, bool counts = true) : ExecutionEngine
    {
        public override string Name => name;

        public override bool CountsInstructions => counts;

        public override bool Supports(GuestArchitecture architecture, out string? reason) => (reason = objection) is null;

        public override EnginePartition CreatePartition(PartitionContext context) => new FakeEngine(_ => null).CreatePartition(context);
    }
}
