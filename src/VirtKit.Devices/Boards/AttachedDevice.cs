namespace VirtKit.Devices.Boards;

/// <summary>A device and what it has on a board.</summary>
/// <param name="Device">The device.</param>
/// <param name="Address">The address of its offset 0: a port in port space.</param>
/// <param name="Interrupts">The inputs of the board's interrupt controller that its lines go to, in the order in which it took them.</param>
public sealed record AttachedDevice(IDevice Device, Gpa Address, IReadOnlyList<int> Interrupts);
