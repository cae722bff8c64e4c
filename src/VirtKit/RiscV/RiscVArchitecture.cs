using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>The RISC-V guest architecture: RV64GC with the extensions that <see cref="Isa"/> lists.</summary>
public sealed record RiscVArchitecture : GuestArchitecture
{
    /// <summary>Everything that is implemented, as the device tree's <c>riscv,isa</c> spells it.</summary>
    public const string FullIsa =
        "rv64imafdc_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc_svinval_svnapot";

    /// <inheritdoc/>
    public override string Name => "riscv64";

    /// <summary>The extensions that the harts have, as the device tree's <c>riscv,isa</c> spells them: <c>rv64</c>, single letters, then names after
    /// underscores. An instruction or CSR of an extension that is not listed is illegal. I, M, A, F, D, C, Zicsr and Zifencei are always there.</summary>
    public string Isa { get; init; } = FullIsa;

    /// <summary>The frequency of <c>time</c> and <c>stimecmp</c> in hertz; 10 MHz as on QEMU's virt board. Divides 1,000,000,000.</summary>
    public uint TimebaseFrequency { get; init; } = 10_000_000;

    /// <summary>When set, VirtKit itself is the supervisor execution environment: an ECALL from S-mode is an SBI call that it answers, and machine mode
    /// has no code. When <see langword="null"/>, the guest brings its firmware.</summary>
    public SbiOptions? Sbi { get; init; }

    /// <summary>Whether the hart runs a program in user mode and nothing else: the host is its supervisor, and environment calls and exceptions leave the engine
    ///. The platform has its address space (<see cref="RiscVPlatform.User"/>).</summary>
    internal bool UserOnly { get; init; }

    internal override string Identity => $"{Name} {Isa}, {TimebaseFrequency} Hz, {(UserOnly ? "user mode" : Sbi is null ? "firmware" : Sbi.Hypercalls ? "SBI with hypercalls" : "SBI")}";

    internal override string? SoftwareObjection
    {
        get
        {
            if (TimebaseFrequency == 0 || 1_000_000_000 % TimebaseFrequency != 0)
                return $"the timebase frequency {TimebaseFrequency} Hz does not divide 1,000,000,000.";
            try
            {
                _ = InstructionSet.Of(Isa);
                return null;
            }
            catch (ArgumentException e)
            {
                return e.Message;
            }
        }
    }

    internal override Engines.IGuestPlatform CreatePlatform(Engines.PartitionContext context) => new RiscVPlatform(context, this);

    internal override GuestSystem CreateSystem(Engines.PartitionContext context) => new RiscVSystem(context);
}

/// <summary>The SBI that VirtKit provides (RISC-V SBI Specification 2.0): Base, Timer, IPI, RFENCE, HSM, SRST, and DBCN where the machine has
/// a <see cref="RiscVPlatform.DebugConsole"/>.</summary>
public sealed record SbiOptions
{
    /// <summary>What the Base extension says the implementation is (SBI §4.2). No number has been assigned to VirtKit; this one is far from those that have.</summary>
    public const ulong ImplementationId = 0x564b;

    /// <summary>The number of the extension for <see cref="Hypercalls"/>: of the firmware-specific space, the implementation's own (SBI §3).</summary>
    public const ulong HypercallExtension = 0x0a00_0000 + ImplementationId;

    /// <summary>Whether the guest may call the host application: an ECALL with <see cref="HypercallExtension"/> in a7 is answered by <see cref="Machine.Hypercalls"/>, or comes back as
    /// <see cref="ExitReason.Hypercall"/> with a6 as code. By default it may not, and the extension is not there.</summary>
    public bool Hypercalls { get; init; }
}

/// <summary>The debug console of the SBI (chapter 12). Called from vCPU threads.</summary>
public interface ISbiConsole
{
    /// <summary>Writes bytes. The implementation copies what it keeps.</summary>
    void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Writes what there is room for now, without waiting. Unless it is implemented, <see cref="Write"/> takes everything.</summary>
    /// <returns>How many bytes were taken, 0 to all, the first ones; the guest learns of it and goes on with the rest.</returns>
    int TryWrite(ReadOnlySpan<byte> bytes)
    {
        Write(bytes);
        return bytes.Length;
    }

    /// <summary>Reads what is there, without waiting.</summary>
    /// <returns>The number of bytes, 0 to the length of <paramref name="buffer"/>.</returns>
    int Read(Span<byte> buffer);
}
