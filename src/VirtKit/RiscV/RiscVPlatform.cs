using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.State;

namespace VirtKit.RiscV;

/// <summary>What the harts of a machine share, and what a board connects to it. The machine owns it.</summary>
public sealed class RiscVPlatform : IGuestPlatform
{
    private ISbiConsole? _debugConsole;

    internal RiscVPlatform(PartitionContext context, RiscVArchitecture architecture)
    {
        Timebase = new RiscVTimebase(context.Clock, architecture.TimebaseFrequency);
        if (architecture.UserOnly)
            User = new UserSpace(context.Memory.Find(default) is { IsMemory: true } ram ? ram.Size : 0);
    }

    /// <summary>What <c>time</c> reads; a board's timer device shows it to the guest as <c>mtime</c>.</summary>
    public RiscVTimebase Timebase { get; }

    /// <summary>Where the SBI's debug console extension (SBI chapter 12) writes and reads; <see langword="null"/>, the default, leaves the extension out. Set before the guest
    /// runs, as it may ask for the extension only once; any thread.</summary>
    public ISbiConsole? DebugConsole
    {
        get => Volatile.Read(ref _debugConsole);
        set => Volatile.Write(ref _debugConsole, value);
    }

    /// <summary>The address space of a program without a supervisor, as large as the memory at 0 was when the platform was made; <see langword="null"/> where the harts have
    /// privileged modes.</summary>
    internal UserSpace? User { get; }

    /// <summary>The platform of a machine, for who composes it.</summary>
    /// <param name="machine">A machine of the RISC-V architecture.</param>
    /// <exception cref="ArgumentException">The machine has another architecture.</exception>
    public static RiscVPlatform Of(Machine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        return Of(machine.Context);
    }

    /// <summary>As <see cref="Of(Machine)"/>, for an engine.</summary>
    /// <param name="context">What the engine's partition is made for.</param>
    /// <exception cref="ArgumentException">The machine has another architecture.</exception>
    public static RiscVPlatform Of(PartitionContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Platform as RiscVPlatform ?? throw new ArgumentException($"The machine has {context.Architecture.Name} processors, no harts.", nameof(context));
    }

    void IGuestPlatform.Visit(StateVisitor visitor) => visitor.Part("timebase", Timebase);
}
