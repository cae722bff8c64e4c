using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>What an <see cref="X64MicroVm"/> board is made of. RAM has at least 16 MiB; what exceeds 3 GiB lies above 4 GiB. The command line has at most 2047
/// bytes, and a bzImage may take less.</summary>
/// <remarks>The machine's architecture is an <see cref="X64Architecture"/>, whose interrupt controller the board provides.</remarks>
public sealed record X64MicroVmOptions : BoardOptions
{
    /// <summary>The default board: one vCPU, 256 MiB, nothing attached.</summary>
    public X64MicroVmOptions() : base(new MachineOptions { Architecture = new X64Architecture() }) { }

    /// <summary>Further devices in port space, after <see cref="BoardOptions.Devices"/>; none by default. <see cref="BoardDevice.Address"/> is the first port; a
    /// window has 1 to 255 of them.</summary>
    public IReadOnlyList<BoardDevice> PortDevices { get; init; } = [];

    internal override void Validate()
    {
        base.Validate();
        CheckElements(PortDevices, nameof(PortDevices));
    }
}
