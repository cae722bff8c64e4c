using VirtKit.Engines;
using VirtKit.Telemetry;

namespace VirtKit.RiscV;

/// <summary>What the harts of one machine share. An engine's partition owns it.</summary>
internal sealed class RiscVSystem
{
    private readonly List<Hart> _harts = [];

    public RiscVSystem(PartitionContext context)
    {
        var architecture = (RiscVArchitecture)context.Architecture;
        Instructions = InstructionSet.Of(architecture.Isa);
        Memory = context.Memory;
        Clock = context.Clock;
        Events = context.Events;
        Metrics = context.Metrics;
        Timebase = new RiscVTimebase(context.Clock, architecture.TimebaseFrequency);
        Sbi = architecture.Sbi is null ? null : new Sbi.SbiFirmware(this, architecture.Sbi);
        HasStimecmp = Instructions.Extensions.Contains("sstc");
        HasCounters = Instructions.Extensions.Contains("zicntr");
    }

    public InstructionSet Instructions { get; }

    public AddressSpace Memory { get; }

    public MachineClock Clock { get; }

    public IMachineEvents Events { get; }

    /// <summary>Where an engine shows what it measures; <see langword="null"/> where nobody collects.</summary>
    public MachineMetrics? Metrics { get; }

    /// <summary>What <c>time</c> reads and <c>stimecmp</c> is compared with; the board's timer device may set it.</summary>
    public RiscVTimebase Timebase { get; }

    /// <summary>The supervisor execution environment, where VirtKit is it.</summary>
    public Sbi.SbiFirmware? Sbi { get; }

    public bool HasStimecmp { get; }

    /// <summary>Whether cycle, time and instret can be read (Zicntr).</summary>
    public bool HasCounters { get; }

    public IReadOnlyList<Hart> Harts => _harts;

    public void Add(Hart hart) => _harts.Add(hart);

    /// <summary>Why an architecture cannot be run by an engine for RISC-V, or nothing.</summary>
    public static string? Objection(GuestArchitecture architecture)
    {
        if (architecture is not RiscVArchitecture riscv)
            return $"it runs riscv64, not {architecture.Name}.";
        if (riscv.TimebaseFrequency == 0 || 1_000_000_000 % riscv.TimebaseFrequency != 0)
            return $"the timebase frequency {riscv.TimebaseFrequency} Hz does not divide 1,000,000,000.";
        try
        {
            _ = InstructionSet.Of(riscv.Isa);
            return null;
        }
        catch (ArgumentException e)
        {
            return e.Message;
        }
    }
}
