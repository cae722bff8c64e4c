namespace VirtKit;

/// <summary>What a device tells the bus about its registers.</summary>
/// <param name="Name">A short lower-case name for logs and the device tree, <c>uart</c>.</param>
/// <param name="Size">The length of the register window in bytes, at least 1.</param>
/// <param name="Widths">The access widths that the device answers. The bus refuses every other width, and every access that is not naturally aligned,
/// before the device sees it: the guest then gets its architecture's access fault.</param>
public readonly record struct DeviceWindow(string Name, ulong Size, AccessWidths Widths = AccessWidths.Any);
