using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace VirtKit.X86;

/// <summary>The few pages that stand in for a kernel: descriptor tables, a stack, and for each vector a HLT that leaves for the host, one IRETQ
/// to go back, and a loop that changes page table entries. Nothing else ever runs in ring 0, because there an engine may be slow and incomplete.</summary>
/// <remarks>
/// SYSCALL is disabled (EFER.SCE = 0), so that it is one exception among the others: #UD at the instruction. An engine that ignores EFER.SCE jumps to LSTAR instead,
/// which points at a supervisor's page: a page fault there, with RCX and R11 set, is a system call, too.
/// </remarks>
internal static class UserSupervisor
{
    public const ulong Base = 0xffff_ff80_0000_0000;

    public const ushort KernelCode = 0x10, KernelData = 0x18, UserData = 0x2b, UserCode = 0x33;
    public const int FrameSize = 40;

    private const ushort Task = 0x40;
    private const ulong GdtPage = Base, IdtPage = Base + 0x1000, TaskPage = Base + 0x2000, StackPage = Base + 0x4000, StubPage = Base + 0x6000, EditPage = Base + 0x8000;
    private const ulong LargePage = 2 << 20;
    private const int StubSize = 16, Vectors = 256;

    /// <summary>An IRETQ in the first stub's padding: entry into user mode.</summary>
    public const ulong ReturnStub = StubPage + 8;

    /// <summary>Where LSTAR points: in the last stub's padding, in a page that user mode cannot execute.</summary>
    public const ulong SystemCallTarget = StubPage + (StubSize * Vectors) - 8;

    /// <summary>Changes RSI page table entries from the linear address RDI on, those of the pages from RDX on: each is masked with R8, then R9 is put in, and the
    /// processor forgets the page. An engine that shadows page tables learns of it as from any kernel. Ends at <see cref="EditEnd"/>.</summary>
    public const ulong EditStub = EditPage;

    /// <summary>The HLT behind <see cref="EditStub"/>.</summary>
    public const ulong EditEnd = EditPage + 31;

    /// <summary>Where the supervisor sees all of memory, and with it the page tables.</summary>
    public const ulong DirectMap = Base + 0x4000_0000;

    private static ReadOnlySpan<byte> EditCode =>
    [
        0x48, 0x8b, 0x07, // mov rax, [rdi]
        0x4c, 0x21, 0xc0, // and rax, r8
        0x4c, 0x09, 0xc8, // or rax, r9
        0x48, 0x89, 0x07, // mov [rdi], rax
        0x0f, 0x01, 0x3a, // invlpg [rdx]
        0x48, 0x83, 0xc7, 0x08, // add rdi, 8
        0x48, 0x81, 0xc2, 0x00, 0x10, 0x00, 0x00, // add rdx, 4096
        0x48, 0xff, 0xce, // dec rsi
        0x75, 0xe1, // jnz to the start
        0xf4, // hlt
    ];

    /// <summary>The top of the stack, aligned as the processor aligns it.</summary>
    public const ulong StackTop = StackPage + 0x1000;

    public const ulong FrameAddress = StackTop - FrameSize;

    /// <summary>Which vector's stub a vCPU stands in: behind its HLT, or in front of it where a kick came first.</summary>
    public static bool TryDecode(ulong rip, out int vector)
    {
        ulong offset = rip - StubPage;
        vector = (int)(offset / StubSize);
        return offset < StubSize * Vectors && offset % StubSize <= 1;
    }

    /// <summary>Writes the pages and maps them.</summary>
    /// <returns>The frame of the stack's page.</returns>
    public static ulong Build(AddressSpace memory, UserPageTables tables, ulong memorySize)
    {
        Span<byte> page = stackalloc byte[AddressSpace.PageSize];

        page.Clear();
        // Null, null, kernel code and data, 32-bit user code, user data, user code, then the task state segment's two entries.
        ReadOnlySpan<ulong> gdt = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0,
            0x0000_8900_0000_0067 | ((TaskPage & 0xff_ffff) << 16) | ((TaskPage & 0xff00_0000) << 32), TaskPage >> 32];
        MemoryMarshal.AsBytes(gdt).CopyTo(page);
        MapPage(GdtPage, page, X64UserAccess.Read);

        page.Clear();
        for (int vector = 0; vector < Vectors; vector++)
        {
            ulong stub = StubPage + ((ulong)vector * StubSize);
            Span<byte> gate = page.Slice(vector * 16, 16);
            BinaryPrimitives.WriteUInt16LittleEndian(gate, (ushort)stub);
            BinaryPrimitives.WriteUInt16LittleEndian(gate[2..], KernelCode);
            gate[5] = vector is 3 or 4 ? (byte)0xee : (byte)0x8e; // INT3 and INTO are user mode's own
            BinaryPrimitives.WriteUInt16LittleEndian(gate[6..], (ushort)(stub >> 16));
            BinaryPrimitives.WriteUInt32LittleEndian(gate[8..], (uint)(stub >> 32));
        }

        MapPage(IdtPage, page, X64UserAccess.Read);

        page.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(page[4..], StackTop);
        BinaryPrimitives.WriteUInt16LittleEndian(page[0x66..], 0x68); // no I/O permission bitmap: every port is refused
        MapPage(TaskPage, page, X64UserAccess.Write);

        page.Clear();
        ulong stack = MapPage(StackPage, page, X64UserAccess.Write);

        page.Fill(0xcc);
        for (int vector = 0; vector < Vectors; vector++)
            page[vector * StubSize] = 0xf4; // hlt

        ((ReadOnlySpan<byte>)[0x48, 0xcf]).CopyTo(page[(int)(ReturnStub - StubPage)..]); // iretq
        MapPage(StubPage, page, X64UserAccess.Execute);

        page.Fill(0xcc);
        EditCode.CopyTo(page);
        MapPage(EditPage, page, X64UserAccess.Execute);
        for (ulong frame = 0; frame < memorySize; frame += LargePage)
            tables.MapLarge(DirectMap + frame, frame);
        return stack;

        ulong MapPage(ulong address, ReadOnlySpan<byte> bytes, X64UserAccess access)
        {
            ulong frame = tables.TakeFrame();
            memory.Write(new Gpa(frame), bytes);
            tables.Map(address, frame, user: false, access);
            return frame;
        }
    }

    /// <summary>Puts a vCPU in front of <see cref="EditStub"/>.</summary>
    public static void PrepareEdit(ref X64State state, in X64Registers arguments)
    {
        state.Cs = X64Segment.Code(KernelCode, 64);
        state.Ss = X64Segment.Data(KernelData, 64);
        state.Registers = arguments with { Rip = EditStub, Rsp = StackTop, Rflags = 2 };
        state.Events = default;
        state.Activity = X64Activity.Running;
    }

    /// <summary>The state of a vCPU that is about to return to user mode.</summary>
    public static void Prepare(ref X64State state, ulong root)
    {
        state.Cs = X64Segment.Code(KernelCode, 64);
        state.Ss = X64Segment.Data(KernelData, 64);
        state.Ds = state.Es = state.Fs = state.Gs = X64Segment.Data(UserData, 64);
        state.Tr = new X64Segment { Selector = Task, Base = TaskPage, Limit = 0x67, Type = 0xb, Present = true };
        state.Ldtr = new X64Segment { Type = 2, Unusable = true };
        state.Gdtr = new X64DescriptorTable { Base = GdtPage, Limit = 0x4f };
        state.Idtr = new X64DescriptorTable { Base = IdtPage, Limit = 0xfff };
        state.Cr0 = 0x8005_0033; // PG, AM, WP, NE, ET, MP, PE
        state.Cr3 = root;
        state.Cr4 = 0x620; // PAE, OSFXSR, OSXMMEXCPT
        state.Efer = 0xd00; // LME, LMA, NXE
        state.SetMsr(0xc000_0082, SystemCallTarget);
        BinaryPrimitives.WriteUInt16LittleEndian(state.Xsave, 0x37f);
        BinaryPrimitives.WriteUInt32LittleEndian(state.Xsave[24..], 0x1f80);
        state.Xsave[512] |= 3;
    }

    /// <summary>Whether an instruction is one that ring 3 may not execute, rather than one whose operands were at fault.</summary>
    /// <param name="code">Bytes at the instruction, at most 15.</param>
    public static bool IsPrivileged(ReadOnlySpan<byte> code)
    {
        while (!code.IsEmpty && code[0] is 0x66 or 0x67 or 0xf2 or 0xf3 or 0x2e or 0x36 or 0x3e or 0x26 or 0x64 or 0x65 or 0xf0 or (>= 0x40 and <= 0x4f))
            code = code[1..];
        if (code.IsEmpty)
            return false;
        // HLT, CLI, STI, INS and OUTS, IN and OUT
        if (code[0] is 0xf4 or 0xfa or 0xfb or (>= 0x6c and <= 0x6f) or (>= 0xe4 and <= 0xe7) or (>= 0xec and <= 0xef))
            return true;
        if (code[0] != 0x0f || code.Length < 2)
            return false;
        int reg = code.Length > 2 ? (code[2] >> 3) & 7 : -1;
        return code[1] switch
        {
            0x00 => reg is 2 or 3, // LLDT, LTR
            0x01 => reg is 2 or 3 or 6 or 7, // LGDT, LIDT, LMSW, INVLPG
            0x06 or 0x08 or 0x09 or 0x07 => true, // CLTS, INVD, WBINVD, SYSRET
            >= 0x20 and <= 0x23 => true, // MOV from and to control and debug registers
            0x30 or 0x32 or 0x33 or 0x35 => true, // WRMSR, RDMSR, RDPMC, SYSEXIT
            _ => false,
        };
    }
}
