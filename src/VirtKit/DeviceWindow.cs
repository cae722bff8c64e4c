namespace VirtKit;

/// <summary>What a device tells the bus about its registers.</summary>
/// <param name="Name">A short lower-case name for logs and the device tree, <c>uart</c>.</param>
/// <param name="Size">The length of the register window in bytes, at least 1.</param>
/// <param name="Widths">The access widths that the device answers, naturally aligned. It never sees another access.</param>
/// <param name="Undeclared">What the bus makes of other widths and of accesses that are not aligned: <see cref="UndeclaredAccess.Split"/> for a chip on the ISA bus of a PC.</param>
public readonly record struct DeviceWindow(string Name, ulong Size, AccessWidths Widths = AccessWidths.Any, UndeclaredAccess Undeclared = UndeclaredAccess.Fault);
