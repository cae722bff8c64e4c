using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The register page of a vCPU's local APIC where that is a device model: every vCPU sees its own at the address in its IA32_APIC_BASE.</summary>
internal sealed unsafe class KvmApicPage(KvmRun* run, IX64LocalApics apics, int index, IMachineEvents events) : IDisposable
{
    private const ulong Enabled = 0x800, PageMask = AddressSpace.PageSize - 1;

    /// <summary>The page alone, so that the bus's rules of width and alignment hold for it as for every device.</summary>
    private AddressSpace? _page;

    /// <summary>The APIC.</summary>
    public IX64LocalApic Apic => apics[index];

    /// <summary>Whether an address is on the page, and where on it.</summary>
    public bool TryFind(ulong address, out AddressSpace? page, out Gpa offset)
    {
        offset = new Gpa(address & PageMask);
        page = null;
        if ((run->ApicBase & Enabled) == 0 || ((address ^ run->ApicBase) & ~PageMask) != 0)
            return false;
        page = _page ??= Map();
        return true;
    }

    public void Dispose()
    {
        // The APIC is the board's, and may be shown on another page later.
        foreach (MemoryRegion region in _page?.Regions ?? [])
            _page!.Unmap(region);
    }

    private AddressSpace Map()
    {
        var page = new AddressSpace();
        page.Map(new Gpa(0), Apic);
        page.DeviceFailed += (device, error) => events.RequestStop(new VcpuExit(ExitReason.InternalError, 0, $"Device {device.Window.Name}: {error.Message}"));
        return page;
    }
}
