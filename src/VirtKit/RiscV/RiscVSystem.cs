using VirtKit.Engines;
using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>What the harts of one machine share.</summary>
internal sealed class RiscVSystem : GuestSystem
{
    private readonly List<Hart> _harts = [];

    public RiscVSystem(PartitionContext context)
        : base(context)
    {
        var architecture = (RiscVArchitecture)context.Architecture;
        Instructions = InstructionSet.Of(architecture.Isa);
        Platform = RiscVPlatform.Of(context);
        Sbi = architecture.Sbi is null ? null : new Sbi.SbiFirmware(this, architecture.Sbi);
        HasStimecmp = Instructions.Extensions.Contains("sstc");
        HasCounters = Instructions.Extensions.Contains("zicntr");
    }

    public override InstructionSet Instructions { get; }

    public override int CodeModes => Mmu.CodeModes;

    public override int Spaces => Mmu.Spaces;

    /// <summary>What boards connect to.</summary>
    public RiscVPlatform Platform { get; }

    /// <summary>What <c>time</c> reads and <c>stimecmp</c> is compared with; the board's timer device may set it.</summary>
    public RiscVTimebase Timebase => Platform.Timebase;

    /// <summary>The supervisor execution environment, where VirtKit is it.</summary>
    public Sbi.SbiFirmware? Sbi { get; }

    /// <summary>The address space of a program without a supervisor; <see langword="null"/> where the harts have privileged modes.</summary>
    public UserSpace? User => Platform.User;

    public bool HasStimecmp { get; }

    /// <summary>Whether cycle, time and instret can be read (Zicntr).</summary>
    public bool HasCounters { get; }

    public IReadOnlyList<Hart> Harts => _harts;

    public void Add(Hart hart) => _harts.Add(hart);

    protected override GuestCpu CreateCpu(int id) => new Hart(this, id);
}
