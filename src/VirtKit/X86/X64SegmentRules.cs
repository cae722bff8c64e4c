namespace VirtKit.X86;

/// <summary>What a processor holds in its segment and table registers (SDM 3C §26.3.1.2 and §26.3.1.3; APM 2 §15.5.1).</summary>
internal static class X64SegmentRules
{
    private const byte Accessed = 1, Readable = 2, Code = 8, Conforming = 4, LdtType = 2, BusyTask16 = 3, BusyTask32 = 11;

    /// <exception cref="ArgumentException">The processor cannot hold this; the message names the field.</exception>
    public static void Apply(ref X64State s, X64StateRules rules)
    {
        bool isLong = X64StateRules.IsLong(in s);
        // Outside of long mode the bit has no meaning, and an engine would take the segment for one of 64-bit code.
        s.Cs.Long &= isLong;
        ApplyUsable(ref s.Cs, "Cs");
        Refuse(s.Cs.Unusable, "Cs.Unusable", 1, "code is always fetched through a usable segment");
        bool isProtected = X64StateRules.IsProtected(in s);
        // A data segment is what real mode leaves in CS until the first far jump.
        Refuse((s.Cs.Type & Code) == 0 && s.Cs.Type != (Accessed | Readable), "Cs.Type", s.Cs.Type, "this is no code segment");
        Refuse(s.Cs.Long && s.Cs.Big, "Cs.Big", 1, "a segment of 64-bit code has D clear");
        ApplyData(ref s.Ds, "Ds", false);
        ApplyData(ref s.Es, "Es", false);
        ApplyData(ref s.Ss, "Ss", true);
        ApplyData(ref s.Fs, "Fs", false);
        ApplyData(ref s.Gs, "Gs", false);
        ApplyPrivilege(in s, isProtected);
        if (X64StateRules.IsVirtual8086(in s))
            ApplyVirtual8086(in s);
        foreach ((X64Segment segment, string name) in (ReadOnlySpan<(X64Segment, string)>)[(s.Cs, "Cs"), (s.Ds, "Ds"), (s.Es, "Es"), (s.Ss, "Ss")])
            Refuse(!segment.Unusable && segment.Base >> 32 != 0, name, ".Base", segment.Base, "the base has 32 bits");
        ApplySystem(ref s.Tr, "Tr");
        Refuse(s.Tr.Unusable, "Tr.Unusable", 1, "the task register is always usable");
        s.Tr.Type |= 2; // a task that runs is busy
        Refuse(s.Tr.Type is not (BusyTask16 or BusyTask32), "Tr.Type", s.Tr.Type, "this is no task state segment");
        if (isLong)
            s.Tr.Type = BusyTask32;
        if (!s.Ldtr.Present)
            s.Ldtr.Unusable = true;
        if (!s.Ldtr.Unusable)
        {
            ApplySystem(ref s.Ldtr, "Ldtr");
            Refuse(s.Ldtr.Type != LdtType, "Ldtr.Type", s.Ldtr.Type, "this is no local descriptor table");
        }

        foreach ((ulong address, string field) in (ReadOnlySpan<(ulong, string)>)[(s.Fs.Base, "Fs.Base"), (s.Gs.Base, "Gs.Base"), (s.Tr.Base, "Tr.Base"), (s.Ldtr.Base, "Ldtr.Base"),
            (s.Gdtr.Base, "Gdtr.Base"), (s.Idtr.Base, "Idtr.Base")])
            rules.RefuseAddress(address, field);
    }

    private static void ApplyData(ref X64Segment segment, string name, bool isStack)
    {
        if (!segment.Present)
            segment.Unusable = true;
        if (segment.Unusable)
        {
            Refuse(segment.Dpl > 3, name, ".Dpl", segment.Dpl, "a privilege level is 0 to 3");
            segment.Type &= 15;
            return;
        }

        ApplyUsable(ref segment, name);
        Refuse(isStack && (segment.Type & (Code | Readable)) != Readable, name, ".Type", segment.Type, "a stack is data that can be written");
        Refuse((segment.Type & (Code | Readable)) == Code, name, ".Type", segment.Type, "the segment cannot be read");
    }

    /// <summary>A segment of code or data that is loaded is marked as accessed.</summary>
    private static void ApplyUsable(ref X64Segment segment, string name)
    {
        Refuse(segment.Type > 15, name, ".Type", segment.Type, "a type has 4 bits");
        Refuse(segment.Dpl > 3, name, ".Dpl", segment.Dpl, "a privilege level is 0 to 3");
        Refuse(!segment.CodeOrData, name, ".CodeOrData", 0, "a system descriptor is not for code or data");
        Refuse(!segment.Present, name, ".Present", 0, "the segment is usable and absent");
        segment.Type |= Accessed;
        ApplyLimit(ref segment, name);
    }

    private static void ApplySystem(ref X64Segment segment, string name)
    {
        Refuse(segment.Type > 15, name, ".Type", segment.Type, "a type has 4 bits");
        Refuse(segment.Dpl > 3, name, ".Dpl", segment.Dpl, "a privilege level is 0 to 3");
        Refuse(segment.CodeOrData, name, ".CodeOrData", 1, "the descriptor is a system descriptor");
        Refuse(!segment.Present, name, ".Present", 0, "the segment is usable and absent");
        Refuse((segment.Selector & 4) != 0, name, ".Selector", segment.Selector, "the descriptor stands in the global table");
        ApplyLimit(ref segment, name);
    }

    /// <summary>A limit of more than 20 bits counts pages, and one that is no whole number of pages counts bytes.</summary>
    private static void ApplyLimit(ref X64Segment segment, string name)
    {
        bool large = segment.Limit > 0xf_ffff, whole = (segment.Limit & 0xfff) == 0xfff;
        Refuse(large && !whole, name, ".Limit", segment.Limit, "a limit from 1 MiB on is a whole number of pages, less one");
        segment.Granular = large || (whole && segment.Granular);
    }

    private static void ApplyPrivilege(in X64State s, bool isProtected)
    {
        if (!isProtected)
        {
            Refuse(s.Cs.Dpl != 0, "Cs.Dpl", s.Cs.Dpl, "real mode has privilege level 0");
            Refuse(s.Ss.Dpl != 0, "Ss.Dpl", s.Ss.Dpl, "real mode has privilege level 0");
            return;
        }

        bool conforming = (s.Cs.Type & (Code | Conforming)) == (Code | Conforming);
        Refuse(conforming ? s.Cs.Dpl > s.Ss.Dpl : s.Cs.Dpl != s.Ss.Dpl, "Ss.Dpl", s.Ss.Dpl, "it is the current privilege level, and CS has another");
    }

    private static void ApplyVirtual8086(in X64State s)
    {
        foreach ((X64Segment segment, string name) in (ReadOnlySpan<(X64Segment, string)>)[(s.Cs, "Cs"), (s.Ds, "Ds"), (s.Es, "Es"), (s.Ss, "Ss"), (s.Fs, "Fs"), (s.Gs, "Gs")])
        {
            Refuse(segment.Unusable || segment.Base != (ulong)segment.Selector << 4 || segment.Limit != 0xffff || segment.Type != 3 || segment.Dpl != 3, name, segment.Selector,
                "in virtual-8086 mode a segment is 64 KiB of data at 16 times its selector, of level 3");
        }
    }

    private static void Refuse(bool isWrong, string register, string field, ulong value, string reason)
    {
        if (isWrong)
            X64StateRules.Refuse(true, register + field, value, reason);
    }

    private static void Refuse(bool isWrong, string field, ulong value, string reason) => X64StateRules.Refuse(isWrong, field, value, reason);
}
