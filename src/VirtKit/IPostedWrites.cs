namespace VirtKit;

/// <summary>The capability of a device that some of its registers may be written late, as over a bus that posts writes. Found when the device is mapped.</summary>
/// <remarks>
/// An engine for which leaving the guest is dear may hold such writes back until a vCPU next leaves it for anything else: another access, an interrupt of the
/// host's, the end of <see cref="Vcpu.Run"/>. They then arrive in their order, before that access. That can be long, so it is for registers whose value only later
/// accesses use (an index, a scratch register), never for one that starts something, raises a line or shows somewhere. Engines may ignore it.
/// </remarks>
public interface IPostedWrites
{
    /// <summary>The registers, inside the device's window. Constant for the lifetime of the device.</summary>
    IReadOnlyList<RegisterRange> PostedWrites { get; }
}

/// <summary>Registers that follow each other in a device's window.</summary>
/// <param name="Offset">The offset of the first in bytes.</param>
/// <param name="Size">The length in bytes, at least 1.</param>
public readonly record struct RegisterRange(uint Offset, uint Size);
