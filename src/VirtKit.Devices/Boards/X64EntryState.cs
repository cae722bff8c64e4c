using VirtKit.X86;

namespace VirtKit.Devices.Boards;

/// <summary>Puts a vCPU where a boot protocol wants it: flat segments with the descriptors that they come from, and for 64-bit entries an identity map of 4 GiB.</summary>
internal static class X64EntryState
{
    private const ulong Gdt = 0x500, PageTables = 0x9000, PageSize = AddressSpace.PageSize, TableEntries = 512, LargePage = 2 << 20, MappedGigabytes = 4;
    private const int Descriptors = 5;
    private const ushort CodeSelector = 0x10, DataSelector = 0x18, TaskSelector = 0x20;
    private const ulong Present = 1, Writable = 2, Large = 0x80, ReservedFlag = 2;
    private const ulong ProtectedMode = 1, ExtensionType = 0x10, Paging = 1ul << 31, PhysicalAddressExtension = 0x20, LongMode = 0x500;

    /// <summary>Where the descriptor table stands.</summary>
    public static (Gpa Start, ulong Size) DescriptorRange => (new Gpa(Gdt), Descriptors * 8);

    /// <summary>Where the identity map of a 64-bit entry stands: a table of each upper level and a directory a gigabyte.</summary>
    public static (Gpa Start, ulong Size) PageTableRange => (new Gpa(PageTables), (2 + MappedGigabytes) * PageSize);

    /// <summary>64-bit mode, as the Linux boot protocol's 64-bit entry has it.</summary>
    public static void Enter64(Machine machine, ref X64State state, Gpa entry)
    {
        EnterFlat(machine, ref state, entry, 64);
        WritePageTables(machine.Memory);
        state.Cr3 = PageTables;
        state.Cr4 = PhysicalAddressExtension;
        state.Efer = LongMode;
        state.Cr0 |= Paging;
    }

    /// <summary>32-bit protected mode without paging, as the PVH entry has it.</summary>
    public static void Enter32(Machine machine, ref X64State state, Gpa entry) => EnterFlat(machine, ref state, entry, 32);

    private static void EnterFlat(Machine machine, ref X64State state, Gpa entry, int bits)
    {
        ulong code = bits == 64 ? 0x00af_9b00_0000_fffful : 0x00cf_9b00_0000_ffff;
        ReadOnlySpan<ulong> descriptors = [0, 0, code, 0x00cf_9300_0000_ffff, 0x0000_8b00_0000_0067];
        for (int i = 0; i < descriptors.Length; i++)
            Write(machine.Memory, Gdt + (ulong)i * 8, descriptors[i]);
        state.Gdtr = new X64DescriptorTable { Base = Gdt, Limit = Descriptors * 8 - 1 };
        state.Idtr = default;
        state.Cs = X64Segment.Code(CodeSelector, bits);
        X64Segment data = X64Segment.Data(DataSelector, bits);
        (state.Ss, state.Ds, state.Es, state.Fs, state.Gs) = (data, data, data, data, data);
        state.Tr = new X64Segment { Selector = TaskSelector, Limit = 0x67, Type = 0xb, Present = true };
        state.Ldtr = new X64Segment { Unusable = true };
        state.Cr0 = ProtectedMode | ExtensionType;
        state.Cr4 = 0;
        state.Efer = 0;
        state.Registers = new X64Registers { Rip = entry.Value, Rflags = ReservedFlag };
        state.Activity = X64Activity.Running;
    }

    private static void WritePageTables(AddressSpace memory)
    {
        ulong directories = PageTables + 2 * PageSize;
        Write(memory, PageTables, PageTables + PageSize | Present | Writable);
        for (ulong gigabyte = 0; gigabyte < MappedGigabytes; gigabyte++)
            Write(memory, PageTables + PageSize + gigabyte * 8, directories + gigabyte * PageSize | Present | Writable);
        for (ulong page = 0; page < MappedGigabytes * TableEntries; page++)
            Write(memory, directories + page * 8, page * LargePage | Present | Writable | Large);
    }

    private static void Write(AddressSpace memory, ulong address, ulong value) => memory.TryWrite(new Gpa(address), value);
}
