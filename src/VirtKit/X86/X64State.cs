using System.Runtime.CompilerServices;

namespace VirtKit.X86;

/// <summary>The architectural state of one x86-64 vCPU: what a snapshot holds and what every engine speaks. Names are the specification's (SDM 3A chapter 2).</summary>
/// <remarks>About 7 KiB: pass it by reference. <see cref="X64Registers"/> is the cheap part.</remarks>
public partial struct X64State
{
    /// <summary>The most MSRs that a state holds.</summary>
    public const int MsrCapacity = 64;

    /// <summary>The general registers, RIP and RFLAGS.</summary>
    public X64Registers Registers;

    /// <summary>CS; its DPL is the current privilege level.</summary>
    public X64Segment Cs;

    /// <summary>DS.</summary>
    public X64Segment Ds;

    /// <summary>ES.</summary>
    public X64Segment Es;

    /// <summary>FS.</summary>
    public X64Segment Fs;

    /// <summary>GS.</summary>
    public X64Segment Gs;

    /// <summary>SS.</summary>
    public X64Segment Ss;

    /// <summary>The task register.</summary>
    public X64Segment Tr;

    /// <summary>The local descriptor table register.</summary>
    public X64Segment Ldtr;

    /// <summary>The global descriptor table register.</summary>
    public X64DescriptorTable Gdtr;

    /// <summary>The interrupt descriptor table register.</summary>
    public X64DescriptorTable Idtr;

    /// <summary>CR0.</summary>
    public ulong Cr0;

    /// <summary>CR2: the last page fault's linear address.</summary>
    public ulong Cr2;

    /// <summary>CR3.</summary>
    public ulong Cr3;

    /// <summary>CR4.</summary>
    public ulong Cr4;

    /// <summary>CR8: the task priority, 0 to 15.</summary>
    public ulong Cr8;

    /// <summary>IA32_EFER.</summary>
    public ulong Efer;

    /// <summary>IA32_APIC_BASE.</summary>
    public ulong ApicBase;

    /// <summary>XCR0: the components that XSAVE manages.</summary>
    public ulong Xcr0;

    /// <summary>DR0 to DR3.</summary>
    public Breakpoints Dr;

    /// <summary>DR6.</summary>
    public ulong Dr6;

    /// <summary>DR7.</summary>
    public ulong Dr7;

    /// <summary>x87, SSE and AVX state as an XSAVE area in standard format (SDM 1 §13.4); components beyond its end are not held.</summary>
    public XsaveArea Xsave;

    /// <summary>What the vCPU is doing: running, halted, or waiting to be started by another one.</summary>
    public X64Activity Activity;

    /// <summary>What is being delivered, and what holds it back.</summary>
    public X64Events Events;

    /// <summary>The local APIC's registers, 16 bytes apart, whether the engine keeps the APIC or a device model does; all zero where there is none.</summary>
    public LapicPage Lapic;

    /// <summary>How many of <see cref="Msrs"/> are used, 0 to <see cref="MsrCapacity"/>.</summary>
    public int MsrCount;

    /// <summary>The model-specific registers that are not held above.</summary>
    public MsrList Msrs;

    /// <summary>The value of an MSR of <see cref="Msrs"/>, or <see langword="null"/> where the state does not hold it.</summary>
    /// <param name="index">The MSR's number.</param>
    public readonly ulong? FindMsr(uint index)
    {
        for (int i = 0; i < Math.Clamp(MsrCount, 0, MsrCapacity); i++)
        {
            if (Msrs[i].Index == index)
                return Msrs[i].Value;
        }

        return null;
    }

    /// <summary>Puts an MSR's value in, or replaces it.</summary>
    /// <param name="index">The MSR's number.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="InvalidOperationException">The state holds <see cref="MsrCapacity"/> others already.</exception>
    public void SetMsr(uint index, ulong value)
    {
        int at = 0;
        while (at < MsrCount && Msrs[at].Index != index)
            at++;
        if (at == MsrCapacity)
            throw new InvalidOperationException($"A state holds at most {MsrCapacity} MSRs.");
        Msrs[at] = new X64Msr(index, value);
        MsrCount = Math.Max(MsrCount, at + 1);
    }

    /// <summary>Four linear breakpoint addresses.</summary>
    [InlineArray(4)]
    public struct Breakpoints
    {
        private ulong _first;
    }

    /// <summary>4096 bytes: the legacy area, the header and the extended components.</summary>
    [InlineArray(4096)]
    public struct XsaveArea
    {
        private byte _first;
    }

    /// <summary>1024 bytes: the APIC's register page as far as registers reach.</summary>
    [InlineArray(1024)]
    public struct LapicPage
    {
        private byte _first;
    }

    /// <summary>Room for <see cref="MsrCapacity"/> MSRs.</summary>
    [InlineArray(MsrCapacity)]
    public struct MsrList
    {
        private X64Msr _first;
    }
}

/// <summary>One model-specific register.</summary>
/// <param name="Index">Its number, as RDMSR takes it in ECX.</param>
/// <param name="Value">Its value.</param>
public readonly record struct X64Msr(uint Index, ulong Value);

/// <summary>The activity state of a vCPU (SDM 3C §24.4.2).</summary>
public enum X64Activity : byte
{
    /// <summary>It executes instructions.</summary>
    Running,

    /// <summary>It has executed HLT and waits for an interrupt.</summary>
    Halted,

    /// <summary>It has not been started since power-on or waits for INIT.</summary>
    Uninitialized,

    /// <summary>It has received INIT and waits for SIPI.</summary>
    WaitForSipi,
}

/// <summary>Events in delivery and interruptibility (SDM 3C §24.4.2, §24.8.3).</summary>
public partial struct X64Events
{
    /// <summary>Whether an exception is being delivered.</summary>
    public bool ExceptionInjected;

    /// <summary>Whether an exception waits to be delivered.</summary>
    public bool ExceptionPending;

    /// <summary>Whether the exception pushes <see cref="ExceptionErrorCode"/>.</summary>
    public bool ExceptionHasErrorCode;

    /// <summary>The exception's vector.</summary>
    public byte ExceptionVector;

    /// <summary>The exception's error code.</summary>
    public uint ExceptionErrorCode;

    /// <summary>Whether an external interrupt is being delivered.</summary>
    public bool InterruptInjected;

    /// <summary>Whether that interrupt comes from INT n.</summary>
    public bool InterruptSoft;

    /// <summary>The interrupt's vector.</summary>
    public byte InterruptVector;

    /// <summary>Whether the instruction before blocks interrupts: bit 0 MOV SS, bit 1 STI.</summary>
    public byte InterruptShadow;

    /// <summary>Whether an NMI is being delivered.</summary>
    public bool NmiInjected;

    /// <summary>Whether an NMI waits.</summary>
    public bool NmiPending;

    /// <summary>Whether NMIs are blocked until IRET.</summary>
    public bool NmiMasked;

    /// <summary>The vector of a received SIPI.</summary>
    public uint SipiVector;
}
