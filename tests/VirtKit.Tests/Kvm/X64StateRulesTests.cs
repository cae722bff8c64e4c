using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Kvm;

/// <summary>Each field of a state that a processor cannot hold is refused by its name, before an engine sees it.</summary>
public sealed class X64StateRulesTests
{
    private delegate void Change(ref X64State state);

    private static readonly Dictionary<string, (string Field, Change Change)> Refusals = new()
    {
        ["CR0 beyond 32 bits"] = ("Cr0", static (ref s) => s.Cr0 |= 1ul << 32),
        ["paging without protection"] = ("Cr0", static (ref s) => s.Cr0 &= ~1ul),
        ["NW without CD"] = ("Cr0", static (ref s) => s.Cr0 = (s.Cr0 | 1 << 29) & ~(1ul << 30)),
        ["long mode without paging"] = ("Efer", static (ref s) => s.Cr0 &= ~(1ul << 31)),
        ["LMA missing"] = ("Efer", static (ref s) => s.Efer &= ~0x400ul),
        ["EFER bit 1"] = ("Efer", static (ref s) => s.Efer |= 2),
        ["EFER bit 40"] = ("Efer", static (ref s) => s.Efer |= 1ul << 40),
        ["long mode without PAE"] = ("Cr4", static (ref s) => s.Cr4 &= ~0x20ul),
        ["CR4 bit 15"] = ("Cr4", static (ref s) => s.Cr4 |= 1 << 15),
        ["CR4 bit 63"] = ("Cr4", static (ref s) => s.Cr4 |= 1ul << 63),
        ["CR4 SMEP without the feature"] = ("Cr4", static (ref s) => s.Cr4 |= 1 << 20),
        ["CR3 beyond physical addresses"] = ("Cr3", static (ref s) => s.Cr3 |= 1ul << 51),
        ["CR8 of 16"] = ("Cr8", static (ref s) => s.Cr8 = 16),
        ["APIC base bit 0"] = ("ApicBase", static (ref s) => s.ApicBase |= 1),
        ["APIC base beyond physical addresses"] = ("ApicBase", static (ref s) => s.ApicBase |= 1ul << 51),
        ["x2APIC without the feature"] = ("ApicBase", static (ref s) => s.ApicBase |= 0x400),
        ["DR6 beyond 32 bits"] = ("Dr6", static (ref s) => s.Dr6 |= 1ul << 32),
        ["DR7 beyond 32 bits"] = ("Dr7", static (ref s) => s.Dr7 |= 1ul << 63),
        ["virtual-8086 in long mode"] = ("Registers.Rflags", static (ref s) => s.Registers.Rflags |= 1 << 17),
        ["RIP not canonical"] = ("Registers.Rip", static (ref s) => s.Registers.Rip = 0x8000_0000_0000),
        ["FS base not canonical"] = ("Fs.Base", static (ref s) => s.Fs.Base = 1ul << 63),
        ["GS base not canonical"] = ("Gs.Base", static (ref s) => s.Gs.Base = 0x8000_0000_0000),
        ["TR base not canonical"] = ("Tr.Base", static (ref s) => s.Tr.Base = 1ul << 62),
        ["LDTR base not canonical"] = ("Ldtr.Base", static (ref s) => s.Ldtr.Base = 1ul << 62),
        ["GDTR base not canonical"] = ("Gdtr.Base", static (ref s) => s.Gdtr.Base = 1ul << 62),
        ["IDTR base not canonical"] = ("Idtr.Base", static (ref s) => s.Idtr.Base = 1ul << 62),
        ["CS absent"] = ("Cs.Present", static (ref s) => s.Cs.Present = false),
        ["CS unusable"] = ("Cs.Unusable", static (ref s) => s.Cs.Unusable = true),
        ["CS a system descriptor"] = ("Cs.CodeOrData", static (ref s) => s.Cs.CodeOrData = false),
        ["CS read-only data"] = ("Cs.Type", static (ref s) => s.Cs.Type = 1),
        ["CS of 5 type bits"] = ("Cs.Type", static (ref s) => s.Cs.Type = 0x1b),
        ["CS for 64 and 32 bits"] = ("Cs.Big", static (ref s) => s.Cs.Big = true),
        ["CS of level 4"] = ("Cs.Dpl", static (ref s) => s.Cs.Dpl = 4),
        ["CS beyond 32 bits"] = ("Cs.Base", static (ref s) => s.Cs.Base = 1ul << 32),
        ["CS and SS of different levels"] = ("Ss.Dpl", static (ref s) => s.Cs.Dpl = 3),
        ["SS read-only"] = ("Ss.Type", static (ref s) => s.Ss.Type = 1),
        ["SS code"] = ("Ss.Type", static (ref s) => s.Ss.Type = 0xb),
        ["DS that cannot be read"] = ("Ds.Type", static (ref s) => s.Ds.Type = 9),
        ["ES a system descriptor"] = ("Es.CodeOrData", static (ref s) => s.Es.CodeOrData = false),
        ["DS of a broken limit"] = ("Ds.Limit", static (ref s) => s.Ds.Limit = 0xffff_fff0),
        ["DS beyond 32 bits"] = ("Ds.Base", static (ref s) => s.Ds.Base = 1ul << 40),
        ["TR available for 286 code gate"] = ("Tr.Type", static (ref s) => s.Tr.Type = 4),
        ["TR absent"] = ("Tr.Present", static (ref s) => s.Tr.Present = false),
        ["TR unusable"] = ("Tr.Unusable", static (ref s) => s.Tr.Unusable = true),
        ["TR in the local table"] = ("Tr.Selector", static (ref s) => s.Tr.Selector = 4),
        ["TR data"] = ("Tr.CodeOrData", static (ref s) => s.Tr.CodeOrData = true),
        ["LDTR a task"] = ("Ldtr.Type", static (ref s) => s.Ldtr.Type = 11),
        ["XCR0 without x87"] = ("Xcr0", static (ref s) => s.Xcr0 = 2),
        ["XCR0 without the feature"] = ("Xcr0", static (ref s) => s.Xcr0 = 1ul << 40 | 1),
        ["MXCSR reserved"] = ("Xsave", static (ref s) => s.Xsave[26] = 1),
        ["XSAVE compacted"] = ("Xsave", static (ref s) => s.Xsave[527] = 0x80),
        ["XSAVE header reserved"] = ("Xsave", static (ref s) => s.Xsave[575] = 1),
        ["exception 2"] = ("Events.ExceptionVector", static (ref s) => s.Events = new X64Events { ExceptionInjected = true, ExceptionVector = 2 }),
        ["exception 32"] = ("Events.ExceptionVector", static (ref s) => s.Events = new X64Events { ExceptionPending = true, ExceptionVector = 32 }),
        ["two events"] = ("Events", static (ref s) => s.Events = new X64Events { ExceptionInjected = true, ExceptionVector = 6, NmiInjected = true }),
        ["interrupt without IF"] = ("Events.InterruptInjected", static (ref s) => s.Events = new X64Events { InterruptInjected = true, InterruptVector = 0x40 }),
        ["SIPI 256"] = ("Events.SipiVector", static (ref s) => s.Events = new X64Events { SipiVector = 256 }),
        ["activity 4"] = ("Activity", static (ref s) => s.Activity = (X64Activity)4),
        ["65 MSRs"] = ("MsrCount", static (ref s) => s.MsrCount = X64State.MsrCapacity + 1),
        ["-1 MSRs"] = ("MsrCount", static (ref s) => s.MsrCount = -1),
    };

    public static TheoryData<string> Names => [.. Refusals.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Apply_StateThatCannotBe_IsRefusedByTheFieldsName(string name)
    {
        X64State state = LongMode();
        Rules(CpuidPolicy.Fixed).Apply(ref state);
        (string field, Change change) = Refusals[name];
        change(ref state);
        ArgumentException error = Assert.Throws<ArgumentException>(() => Rules(CpuidPolicy.Fixed).Apply(ref state));
        Assert.StartsWith($"{field} is 0x", error.Message, StringComparison.Ordinal);
    }

    /// <summary>The same through KVM: the vCPU keeps its state, whichever field it was.</summary>
    [Fact]
    public void SetState_EachFieldThatCannotBe_ChangesNothingOnKvm()
    {
        using var guest = new X64Guest(new X64Architecture { Cpuid = CpuidPolicy.Fixed });
        guest.Load(64, a => a.hlt());
        string before = KvmStateFuzzTests.Describe(guest.Vcpu.GetState<X64State>());
        foreach ((string name, (string field, Change change)) in Refusals)
        {
            X64State state = guest.Vcpu.GetState<X64State>();
            state.Registers.Rax = 0x77;
            change(ref state);
            ArgumentException error = Assert.Throws<ArgumentException>(() => guest.Vcpu.SetState(in state));
            Assert.True(error.Message.StartsWith($"{field} is 0x", StringComparison.Ordinal), $"{name}: {error.Message}");
            Assert.Equal(before, KvmStateFuzzTests.Describe(guest.Vcpu.GetState<X64State>()));
        }

        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
    }

    [Fact]
    public void Apply_BitsThatTheProcessorFixes_AreSetRight()
    {
        X64State state = LongMode();
        state.Registers.Rflags = 0xffff_ffff_ff9d_8028;
        (state.Dr6, state.Dr7, state.Xcr0) = (0x1000, 0xd000, 0);
        state.Cr0 = (state.Cr0 & ~0x10ul) | 0x1000;
        state.Tr.Type = 1;
        state.Ds = new X64Segment { Type = 2, CodeOrData = true, Present = true, Limit = 0xffff_ffff };
        state.Es = new X64Segment { Type = 0, CodeOrData = true, Present = true, Limit = 5, Granular = true };
        state.Fs = new X64Segment();
        state.Ldtr = new X64Segment();
        state.Events = new X64Events { ExceptionInjected = true, ExceptionVector = 14, InterruptShadow = 0xff };
        Rules(CpuidPolicy.Host).Apply(ref state);
        Assert.Equal(0x1d_0002ul, state.Registers.Rflags);
        Assert.Equal((0xfffe_07f0ul, 0x400ul, 1ul), (state.Dr6, state.Dr7, state.Xcr0));
        Assert.Equal(0x10ul, state.Cr0 & 0x1010);
        Assert.Equal((byte)11, state.Tr.Type);
        Assert.Equal(((byte)3, true), (state.Ds.Type, state.Ds.Granular));
        Assert.Equal(((byte)1, false), (state.Es.Type, state.Es.Granular));
        Assert.True(state.Fs.Unusable && state.Ldtr.Unusable);
        Assert.Equal((true, (byte)1), (state.Events.ExceptionHasErrorCode, state.Events.InterruptShadow));
    }

    /// <summary>What the power-on state and each mode of the tests' guests are, on AMD's and Intel's processors.</summary>
    [Theory, InlineData(16), InlineData(32), InlineData(64)]
    public void Apply_StatesOfEachMode_AreAccepted(int bits)
    {
        foreach (string name in CpuidHost.Names)
        {
            var rules = new X64StateRules(CpuidPolicy.Host.Build(CpuidHost.Read(name), 0, 1));
            X64State state = PowerOn();
            rules.Apply(ref state);
            X64Guest.Enter(Memory(), ref state, bits);
            rules.Apply(ref state);
            // The kernel leaves real mode's data segment in CS until the first far jump.
            state = PowerOn();
            state.Cs.Type = 3;
            state.Cr0 |= 1;
            rules.Apply(ref state);
        }
    }

    [Fact]
    public void Apply_Virtual8086Mode_HasItsSegments()
    {
        X64State state = PowerOn();
        X64Guest.Enter(Memory(), ref state, 32);
        state.Registers.Rflags |= 1 << 17;
        X64Segment segment = new() { Selector = 0x1234, Base = 0x12340, Limit = 0xffff, Type = 3, Dpl = 3, CodeOrData = true, Present = true };
        (state.Cs, state.Ds, state.Es, state.Ss, state.Fs, state.Gs) = (segment, segment, segment, segment, segment, segment);
        X64State good = state;
        Rules(CpuidPolicy.Host).Apply(ref good);
        state.Es.Base = 0;
        Assert.StartsWith("Es is 0x1234", Assert.Throws<ArgumentException>(() => Rules(CpuidPolicy.Host).Apply(ref state)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Apply_FeaturesThatAreThere_AllowTheirBits()
    {
        var rules = new X64StateRules(CpuidPolicy.Host.Build(CpuidHost.Read("intel-sapphire-rapids"), 0, 1));
        X64State state = LongMode();
        state.Cr4 |= 1 << 12 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23;
        state.Cr0 |= 1 << 16; // WP, which CET needs
        state.Xcr0 = 0x6_02e7;
        state.Registers.Rip = 0xff80_0000_0000_0000;
        state.Fs.Base = 0x7f_ffff_ffff_ffff;
        state.ApicBase |= 0x400;
        rules.Apply(ref state);
        foreach (ulong components in (ulong[])[0x5, 0x23, 0x2_0007, 0x18])
        {
            X64State wrong = state;
            wrong.Xcr0 = components;
            Assert.Throws<ArgumentException>(() => rules.Apply(ref wrong));
        }
    }

    private static X64StateRules Rules(CpuidPolicy policy) => new(policy.Build(CpuidHost.Read("intel-skylake-server"), 0, 1));

    private static X64State LongMode()
    {
        X64State state = PowerOn();
        X64Guest.Enter(Memory(), ref state, 64);
        return state;
    }

    private static X64State PowerOn()
    {
        X64State state = new() { ApicBase = 0xfee0_0900, Cr0 = 0x6000_0010 };
        state.TakeInit(0);
        return state;
    }

    private static AddressSpace Memory()
    {
        var memory = new AddressSpace();
        memory.MapRam(new Gpa(0), X64Guest.RamSize);
        return memory;
    }
}
