using VirtKit.RiscV;

namespace VirtKit.Devices.Boards;

/// <summary>What a <see cref="RiscVVirt"/> board is made of. RAM has at least 8 MiB, and is DRAM at one place. The command line has at most
/// 1023 bytes, as many as Linux takes from 6.4 on; a kernel before takes 511, which <see cref="RiscVVirt.BootLinux"/> checks.</summary>
/// <remarks>The machine's architecture is a <see cref="RiscVArchitecture"/>; the default one provides the SBI, so that a kernel starts without firmware.</remarks>
public sealed record RiscVVirtOptions : BoardOptions
{
    /// <summary>The default board: one hart with the SBI, 256 MiB, nothing attached.</summary>
    public RiscVVirtOptions() : base(new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() } }) { }
}
