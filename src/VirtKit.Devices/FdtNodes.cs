using VirtKit.Boot;

namespace VirtKit.Devices;

/// <summary>What every device's node in the tree has in common.</summary>
internal static class FdtNodes
{
    /// <summary>Begins <paramref name="name"/><c>@address</c> with <c>compatible</c>, <c>reg</c>, interrupts and phandle as the place has them.</summary>
    public static FdtBuilder BeginDevice(this FdtBuilder fdt, string name, DeviceWindow window, FdtPlace place, params ReadOnlySpan<string> compatible)
    {
        fdt.BeginNode($"{name}@{place.Address.Value:x}").Strings("compatible", compatible).Cells64("reg", place.Address.Value, window.Size);
        if (place.InterruptParent != 0)
            fdt.Cells("interrupt-parent", place.InterruptParent).Cells("interrupts", place.Interrupt);
        if (!place.InterruptsExtended.IsEmpty)
            fdt.Cells("interrupts-extended", place.InterruptsExtended.Span);
        if (place.Phandle != 0)
            fdt.Cells("phandle", place.Phandle);
        return fdt;
    }
}
