using VirtKit.State;

namespace VirtKit.X86;

public partial struct X64State : ISnapshotable
{
    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        VisitRegisters(visitor);
        visitor.Part("cs", ref Cs);
        visitor.Part("ds", ref Ds);
        visitor.Part("es", ref Es);
        visitor.Part("fs", ref Fs);
        visitor.Part("gs", ref Gs);
        visitor.Part("ss", ref Ss);
        visitor.Part("tr", ref Tr);
        visitor.Part("ldtr", ref Ldtr);
        visitor.Part("gdtr", ref Gdtr);
        visitor.Part("idtr", ref Idtr);
        visitor.Field("cr0", ref Cr0);
        visitor.Field("cr2", ref Cr2);
        visitor.Field("cr3", ref Cr3);
        visitor.Field("cr4", ref Cr4);
        visitor.Field("cr8", ref Cr8);
        visitor.Field("efer", ref Efer);
        visitor.Field("apic base", ref ApicBase);
        visitor.Field("xcr0", ref Xcr0);
        visitor.Fields("dr", (Span<ulong>)Dr);
        visitor.Field("dr6", ref Dr6);
        visitor.Field("dr7", ref Dr7);
        visitor.Fields("xsave", (Span<byte>)Xsave);
        visitor.Enumeration("activity", ref Activity);
        visitor.Part("events", ref Events);
        visitor.Fields("lapic", (Span<byte>)Lapic);
        visitor.Field("msr count", ref MsrCount);
        visitor.Require(MsrCount is >= 0 and <= MsrCapacity, "msr count", $"is {MsrCount}, and a state holds at most {MsrCapacity}");
        for (int i = 0; i < MsrCount; i++)
            VisitMsr(visitor, $"msr{i}", ref Msrs[i]);
    }

    private void VisitRegisters(StateVisitor visitor)
    {
        visitor.Field("rax", ref Registers.Rax);
        visitor.Field("rbx", ref Registers.Rbx);
        visitor.Field("rcx", ref Registers.Rcx);
        visitor.Field("rdx", ref Registers.Rdx);
        visitor.Field("rsi", ref Registers.Rsi);
        visitor.Field("rdi", ref Registers.Rdi);
        visitor.Field("rsp", ref Registers.Rsp);
        visitor.Field("rbp", ref Registers.Rbp);
        visitor.Field("r8", ref Registers.R8);
        visitor.Field("r9", ref Registers.R9);
        visitor.Field("r10", ref Registers.R10);
        visitor.Field("r11", ref Registers.R11);
        visitor.Field("r12", ref Registers.R12);
        visitor.Field("r13", ref Registers.R13);
        visitor.Field("r14", ref Registers.R14);
        visitor.Field("r15", ref Registers.R15);
        visitor.Field("rip", ref Registers.Rip);
        visitor.Field("rflags", ref Registers.Rflags);
    }

    private static void VisitMsr(StateVisitor visitor, string name, ref X64Msr msr)
    {
        (uint index, ulong value) = (msr.Index, msr.Value);
        visitor.Field($"{name} index", ref index);
        visitor.Field($"{name} value", ref value);
        msr = new X64Msr(index, value);
    }
}

public partial struct X64Events : ISnapshotable
{
    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("exception injected", ref ExceptionInjected);
        visitor.Field("exception pending", ref ExceptionPending);
        visitor.Field("exception has error code", ref ExceptionHasErrorCode);
        visitor.Field("exception vector", ref ExceptionVector);
        visitor.Field("exception error code", ref ExceptionErrorCode);
        visitor.Field("interrupt injected", ref InterruptInjected);
        visitor.Field("interrupt soft", ref InterruptSoft);
        visitor.Field("interrupt vector", ref InterruptVector);
        visitor.Field("interrupt shadow", ref InterruptShadow);
        visitor.Field("nmi injected", ref NmiInjected);
        visitor.Field("nmi pending", ref NmiPending);
        visitor.Field("nmi masked", ref NmiMasked);
        visitor.Field("sipi vector", ref SipiVector);
    }
}

public partial struct X64Segment : ISnapshotable
{
    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("base", ref Base);
        visitor.Field("limit", ref Limit);
        visitor.Field("selector", ref Selector);
        visitor.Field("type", ref Type);
        visitor.Field("dpl", ref Dpl);
        visitor.Field("code or data", ref CodeOrData);
        visitor.Field("present", ref Present);
        visitor.Field("available", ref Available);
        visitor.Field("long", ref Long);
        visitor.Field("big", ref Big);
        visitor.Field("granular", ref Granular);
        visitor.Field("unusable", ref Unusable);
    }
}

public partial struct X64DescriptorTable : ISnapshotable
{
    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Field("base", ref Base);
        visitor.Field("limit", ref Limit);
    }
}
