using System.Buffers.Binary;
using System.Globalization;

namespace VirtKit.X86;

/// <summary>What a processor that answers CPUID in a certain way holds in its registers: the checks that it makes itself before it enters a guest (SDM 3C §26.3.1; APM 2 §15.5.1).
/// A state that comes from outside, such as a snapshot, goes through them before an engine takes it.</summary>
/// <remarks>Bits that the processor fixes are set right, as when a guest writes them. What has no right value is refused. Immutable and thread-safe.</remarks>
public sealed class X64StateRules
{
    private const ulong ProtectionEnable = 1, WriteProtect = 1 << 16, NotWriteThrough = 1 << 29, CacheDisable = 1 << 30, Paging = 1UL << 31, ExtensionType = 0x10;
    private const ulong LongModeEnable = 1 << 8, LongModeActive = 1 << 10;
    private const ulong InterruptFlag = 1 << 9, Virtual8086 = 1 << 17, FixedFlags = 2;
    private const ulong PhysicalAddressExtension = 1 << 5, ProcessContext = 1 << 17, ControlFlow = 1 << 23;

    /// <summary>The registers' known bits.</summary>
    private const ulong KnownCr0 = 0xe005_003f, KnownFlags = 0x003f_7fd5, KnownDr6 = 0x1_e80f, FixedDr6 = 0xfffe_07f0, KnownDr7 = 0xffff_2bff, FixedDr7 = 0x400;

    /// <summary>CR4's bits, and the features without which a processor refuses some of them. The others go without saying.</summary>
    private const ulong KnownCr4 = 0x1_1bff_7fff;

    private static readonly (int Bit, string Feature)[] Cr4Features =
    [
        (11, "umip"), (12, "la57"), (13, "vmx"), (14, "smx"), (16, "fsgsbase"), (17, "pcid"), (18, "xsave"), (19, "aeskle"), (20, "smep"), (21, "smap"), (22, "pku"), (24, "pks"),
        (25, "uintr"), (27, "lass"), (28, "lam"), (32, "fred"),
    ];

    private static readonly (int Bit, string Feature)[] EferFeatures = [(8, "lm"), (10, "lm"), (11, "nx"), (12, "svm"), (14, "fxsr_opt")];

    private readonly ulong _cr4, _efer, _components, _addresses;
    private readonly bool _isAmd, _hasX2Apic, _hasLinearMasking;

    /// <summary>The rules of one processor.</summary>
    /// <param name="cpuid">What the processor answers.</param>
    public X64StateRules(CpuidTable cpuid)
    {
        _cr4 = KnownCr4 & ~Cr4Features.Where(f => !cpuid.Has(f.Feature)).Aggregate(0UL, (mask, f) => mask | (1UL << f.Bit));
        if (!cpuid.Has("shstk") && !cpuid.Has("ibt"))
            _cr4 &= ~ControlFlow;
        _isAmd = cpuid.IsAmd;
        // SCE; on AMD's processors also LMSLE, TCE and AutoIBRS.
        _efer = 1 | EferFeatures.Where(f => cpuid.Has(f.Feature)).Aggregate(0UL, (mask, f) => mask | (1UL << f.Bit)) | (_isAmd ? 0x20_a000UL : 0);
        CpuidResult areas = cpuid.Has("xsave") ? cpuid.Lookup(0xd, 0) : default;
        _components = 1 | areas.Eax | ((ulong)areas.Edx << 32);
        uint physical = cpuid.HasLeaf(0x8000_0008) ? cpuid.Lookup(0x8000_0008, 0).Eax & 0xff : 36;
        _addresses = (1UL << (int)Math.Clamp(physical, 32, 52)) - 1;
        LinearBits = cpuid.Has("la57") ? 57 : 48;
        _hasX2Apic = cpuid.Has("x2apic");
        _hasLinearMasking = cpuid.Has("lam");
    }

    /// <summary>The parameter of SetState, whose field is refused here on its behalf.</summary>
    public static string Parameter => "state";

    /// <summary>The width of linear addresses, whatever CR4.LA57 says: the bases of segments and tables are held to the processor's width.</summary>
    public int LinearBits { get; }

    /// <summary>Sets right what the processor fixes.</summary>
    /// <exception cref="ArgumentException">The processor cannot be in this state; the message names the field.</exception>
    public void Apply(ref X64State state)
    {
        ApplyControl(ref state);
        ApplyFlags(ref state);
        X64SegmentRules.Apply(ref state, this);
        ApplyFloatingPoint(ref state);
        ApplyEvents(ref state);
        Refuse(state.Activity > X64Activity.WaitForSipi, nameof(state.Activity), (ulong)state.Activity, "there is no such activity");
        Refuse(state.MsrCount is < 0 or > X64State.MsrCapacity, nameof(state.MsrCount), (ulong)state.MsrCount, "a state holds no more MSRs than its list");
    }

    /// <summary>As <see cref="Apply(ref X64State)"/>, for the general registers alone.</summary>
    /// <returns>Whether the whole state has to be looked at to say.</returns>
    public bool Apply(ref X64Registers registers)
    {
        registers.Rflags = (registers.Rflags & KnownFlags) | FixedFlags;
        RefuseAddress(registers.Rip, "Registers.Rip");
        return (registers.Rflags & Virtual8086) == 0;
    }

    /// <summary>Whether a state is in long mode.</summary>
    public static bool IsLong(in X64State state) => (state.Efer & LongModeActive) != 0;

    /// <summary>Whether a state is in protected mode.</summary>
    public static bool IsProtected(in X64State state) => (state.Cr0 & ProtectionEnable) != 0;

    /// <summary>Whether a state is in virtual-8086 mode.</summary>
    public static bool IsVirtual8086(in X64State state) => (state.Registers.Rflags & Virtual8086) != 0;

    /// <exception cref="ArgumentException">The address is not canonical.</exception>
    internal void RefuseAddress(ulong address, string field)
    {
        if ((ulong)((long)(address << (64 - LinearBits)) >> (64 - LinearBits)) != address)
            Refuse(true, field, address, $"the address is not canonical in {LinearBits} bits");
    }

    internal static void Refuse(bool isWrong, string field, ulong value, string reason)
    {
        if (isWrong)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{field} is 0x{value:x}: {reason}."), Parameter);
    }

    private static void RefuseOutside(ulong known, ulong value, string field)
    {
        if ((value & ~known) != 0)
            Refuse(true, field, value, string.Create(CultureInfo.InvariantCulture, $"of these bits the processor has 0x{value & known:x}"));
    }

    private void ApplyControl(ref X64State s)
    {
        Refuse(s.Cr0 >> 32 != 0, nameof(s.Cr0), s.Cr0, "bits 63 to 32 are reserved");
        s.Cr0 = (s.Cr0 & KnownCr0) | ExtensionType;
        bool paging = (s.Cr0 & Paging) != 0, isLong = IsLong(in s);
        Refuse(paging && !IsProtected(in s), nameof(s.Cr0), s.Cr0, "paging (PG) needs protected mode (PE)");
        Refuse((s.Cr0 & (NotWriteThrough | CacheDisable)) == NotWriteThrough, nameof(s.Cr0), s.Cr0, "NW needs CD");
        RefuseOutside(_efer, s.Efer, nameof(s.Efer));
        Refuse(isLong != ((s.Efer & LongModeEnable) != 0 && paging), nameof(s.Efer), s.Efer, "LMA is LME and paging");
        RefuseOutside(_cr4, s.Cr4, nameof(s.Cr4));
        Refuse(isLong && (s.Cr4 & PhysicalAddressExtension) == 0, nameof(s.Cr4), s.Cr4, "long mode needs PAE");
        Refuse(!isLong && (s.Cr4 & ProcessContext) != 0, nameof(s.Cr4), s.Cr4, "PCIDE needs long mode");
        Refuse((s.Cr4 & ControlFlow) != 0 && (s.Cr0 & WriteProtect) == 0, nameof(s.Cr4), s.Cr4, "CET needs CR0.WP");
        Refuse((s.Cr3 & ~(_addresses | (_hasLinearMasking ? 3UL << 61 : 0))) != 0, nameof(s.Cr3), s.Cr3, "the processor's physical addresses are shorter");
        Refuse(s.Cr8 > 15, nameof(s.Cr8), s.Cr8, "a task priority is 0 to 15");
        Refuse((s.ApicBase & ~(_addresses & ~0x2ffUL)) != 0, nameof(s.ApicBase), s.ApicBase, "reserved bits are set");
        bool extended = (s.ApicBase & 0x400) != 0;
        Refuse(extended && ((s.ApicBase & 0x800) == 0 || !_hasX2Apic), nameof(s.ApicBase), s.ApicBase, "x2APIC mode needs the feature and an APIC that is enabled");
        Refuse(s.Dr6 >> 32 != 0, nameof(s.Dr6), s.Dr6, "bits 63 to 32 are reserved");
        Refuse(s.Dr7 >> 32 != 0, nameof(s.Dr7), s.Dr7, "bits 63 to 32 are reserved");
        s.Dr6 = (s.Dr6 & KnownDr6) | FixedDr6;
        s.Dr7 = (s.Dr7 & KnownDr7) | FixedDr7;
    }

    private void ApplyFlags(ref X64State s)
    {
        s.Registers.Rflags = (s.Registers.Rflags & KnownFlags) | FixedFlags;
        Refuse(IsVirtual8086(in s) && (IsLong(in s) || !IsProtected(in s)), "Registers.Rflags", s.Registers.Rflags, "virtual-8086 mode is a part of 32-bit protected mode");
        if (IsLong(in s) && s.Cs.Long)
            RefuseAddress(s.Registers.Rip, "Registers.Rip");
        else
            s.Registers.Rip = (uint)s.Registers.Rip;
    }

    private void ApplyFloatingPoint(ref X64State s)
    {
        // A state that does not say holds the value at power-on.
        s.Xcr0 = s.Xcr0 == 0 ? 1 : s.Xcr0;
        ulong x = s.Xcr0;
        RefuseOutside(_components, x, nameof(s.Xcr0));
        Refuse((x & 1) == 0, nameof(s.Xcr0), x, "x87 state is always enabled");
        Refuse((x & 4) != 0 && (x & 2) == 0, nameof(s.Xcr0), x, "AVX state needs SSE state");
        Refuse((x & 0x18) is 8 or 0x10, nameof(s.Xcr0), x, "MPX has two components");
        Refuse((x & 0xe0) != 0 && (x & 0xe4) != 0xe4, nameof(s.Xcr0), x, "AVX-512 has three components and needs AVX state");
        Refuse((x & 0x6_0000) is 0x2_0000 or 0x4_0000, nameof(s.Xcr0), x, "AMX has two components");
        ReadOnlySpan<byte> area = s.Xsave;
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(area[24..]);
        Refuse(mxcsr > 0xffff, nameof(s.Xsave), mxcsr, "MXCSR has reserved bits set");
        ulong compacted = BinaryPrimitives.ReadUInt64LittleEndian(area[520..]);
        Refuse(compacted != 0, nameof(s.Xsave), compacted, "XCOMP_BV is set, and the area is in standard format");
        Refuse(area[528..576].ContainsAnyExcept((byte)0), nameof(s.Xsave), 0, "reserved bytes of the header are set");
    }

    private void ApplyEvents(ref X64State s)
    {
        ref X64Events e = ref s.Events;
        bool enabled = (s.Registers.Rflags & InterruptFlag) != 0;
        bool exception = e.ExceptionInjected || e.ExceptionPending;
        Refuse(exception && (e.ExceptionVector is 2 or > 31), "Events.ExceptionVector", e.ExceptionVector, "no exception has this vector");
        Refuse((exception ? 1 : 0) + (e.InterruptInjected ? 1 : 0) + (e.NmiInjected ? 1 : 0) > 1, "Events", 0, "only one event is in delivery at a time");
        Refuse(e.InterruptInjected && !e.InterruptSoft && !enabled, "Events.InterruptInjected", 1, "an external interrupt needs RFLAGS.IF");
        Refuse(e.SipiVector > 255, "Events.SipiVector", e.SipiVector, "a start-up vector is 0 to 255");
        if (exception)
            e.ExceptionHasErrorCode = IsProtected(in s) && (X64Exception.HasErrorCode(e.ExceptionVector) && (_isAmd || e.ExceptionVector < 29));
        // The shadow of STI is there only behind an STI.
        e.InterruptShadow &= enabled ? (byte)3 : (byte)1;
    }
}
