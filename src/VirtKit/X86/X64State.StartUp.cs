namespace VirtKit.X86;

public partial struct X64State
{
    private const ulong BootProcessor = 0x100, ExtensionType = 0x10, CachePolicy = 0x6000_0000;

    /// <summary>Changes the state as INIT does (SDM 3A §9.1.1, table 9-1): what power-on sets is set, but for floating-point state, cache policy, MSRs and the place of
    /// the local APIC. The boot processor goes on at the reset vector, every other one waits for a start-up message.</summary>
    /// <remarks>The local APIC's registers are not touched: the APIC that takes the message resets itself.</remarks>
    /// <param name="signature">What EDX then holds: the processor's signature, CPUID leaf 1 EAX.</param>
    public void TakeInit(uint signature)
    {
        Registers = new X64Registers { Rip = 0xfff0, Rflags = 2, Rdx = signature };
        Cs = X64Segment.Code(0xf000, 16) with { Base = 0xffff_0000 };
        X64Segment data = X64Segment.Data(0, 16);
        (Ds, Es, Fs, Gs, Ss) = (data, data, data, data, data);
        Tr = new X64Segment { Limit = 0xffff, Type = 0xb, Present = true };
        Ldtr = new X64Segment { Limit = 0xffff, Type = 2, Present = true };
        Gdtr = Idtr = new X64DescriptorTable { Limit = 0xffff };
        Cr0 = Cr0 & CachePolicy | ExtensionType;
        (Cr2, Cr3, Cr4, Cr8, Efer) = (0, 0, 0, 0, 0);
        Dr = default;
        (Dr6, Dr7) = (0xffff_0ff0, 0x400);
        Events = default;
        Activity = (ApicBase & BootProcessor) != 0 ? X64Activity.Running : X64Activity.WaitForSipi;
    }

    /// <summary>Changes the state of a vCPU that waits for it as a start-up message does (SDM 3A §8.4.3).</summary>
    /// <param name="page">Where it begins, in real mode: the page of 4 KiB, 0 to 255.</param>
    public void TakeStartUp(byte page)
    {
        Cs = X64Segment.Code((ushort)(page << 8), 16);
        Registers.Rip = 0;
        Activity = X64Activity.Running;
    }
}
