using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The register page of a vCPU's local APIC where that is a device model: every vCPU sees its own at the address in its IA32_APIC_BASE.</summary>
internal sealed unsafe class KvmApicPage(KvmRun* run, X64Platform platform, int index)
{
    private const ulong Enabled = 0x800, PageMask = AddressSpace.PageSize - 1;

    /// <summary>The APIC.</summary>
    public IX64LocalApic Apic => platform.RequireLocalApics()[index];

    /// <summary>Whether an address is on the page, and where on it.</summary>
    public bool TryFind(ulong address, out AddressSpace? page, out Gpa offset)
    {
        offset = new Gpa(address & PageMask);
        bool isThere = (run->ApicBase & Enabled) != 0 && ((address ^ run->ApicBase) & ~PageMask) == 0;
        page = isThere ? platform.ApicPage(index) : null;
        return isThere;
    }
}
