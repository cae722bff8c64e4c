using VirtKit.Boot;

namespace VirtKit.X86;

// The program's memory: mapping, loading, copying in and out.
public sealed partial class X64UserProgram
{
    /// <summary>Maps zeroed memory.</summary>
    /// <param name="address">The first address, a multiple of 4096, at least 4096.</param>
    /// <param name="size">The length in bytes, a positive multiple of 4096.</param>
    /// <param name="access">What the program may do with it.</param>
    /// <exception cref="ArgumentException">Not aligned, outside the program's half, or mapped already: then nothing has changed. Or there is no such access.</exception>
    /// <exception cref="InvalidOperationException">Another thread runs or changes the program.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
    /// <exception cref="VirtKitException">The memory is used up; a part may be mapped.</exception>
    public void Map(Gva address, ulong size, X64UserAccess access)
    {
        CheckRange(address, size);
        CheckAccess(access);
        using Ownership owner = Own();
        MapOwned(address, size, access);
    }

    private void MapOwned(Gva address, ulong size, X64UserAccess access)
    {
        if (size / PageSize > _tables.FreeFrames)
            throw new VirtKitException($"{size} bytes are to be mapped; {FreeMemory} are left.");
        for (ulong page = address.Value; page < address.Value + size; page += PageSize)
        {
            if (_tables.TryFind(page, out _, out _))
                throw new ArgumentException($"0x{page:x} is mapped already.", nameof(address));
        }

        for (ulong page = address.Value; page < address.Value + size; page += PageSize)
            _tables.Map(page, _tables.TakeFrame(), user: true, access);
    }

    /// <summary>Takes mappings away. Their memory can be mapped again, zeroed; page tables stay.</summary>
    /// <param name="address">The first address, a multiple of 4096.</param>
    /// <param name="size">The length in bytes, a positive multiple of 4096.</param>
    /// <exception cref="ArgumentException">Not aligned, outside the program's half, or not all of it mapped: then nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">Another thread runs or changes the program.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
    /// <exception cref="VirtKitException">The engine cannot do it.</exception>
    public void Unmap(Gva address, ulong size)
    {
        using Ownership owner = Own();
        CheckMapped(address, size);
        var frames = new List<ulong>();
        for (ulong page = address.Value; page < address.Value + size; page += PageSize)
        {
            if (_tables.TryFind(page, out ulong frame, out _))
                frames.Add(frame);
        }

        Edit(address.Value, size, keep: 0, put: 0);
        frames.ForEach(_tables.ReturnFrame);
    }

    /// <summary>Changes what the program may do with mapped memory.</summary>
    /// <param name="access">What it may do from now on.</param>
    /// <inheritdoc cref="Unmap"/>
    /// <param name="address">The first address, a multiple of 4096.</param>
    /// <param name="size">The length in bytes, a positive multiple of 4096.</param>
    public void Protect(Gva address, ulong size, X64UserAccess access)
    {
        CheckAccess(access);
        using Ownership owner = Own();
        CheckMapped(address, size);
        Edit(address.Value, size, ~UserPageTables.AccessMask, UserPageTables.AccessBits(access));
    }

    /// <summary>Maps a static executable and a stack, and sets RIP and RSP for its start: no arguments, no environment (System V ABI, AMD64 supplement, §3.4.1).</summary>
    /// <param name="image">The executable. Its segments are mapped at their virtual addresses with the access that the file gives them.</param>
    /// <param name="stackSize">The stack's length in bytes, a positive multiple of 4096; it ends below 0x7fff_ffff_f000, with nothing mapped under it.</param>
    /// <exception cref="InvalidImageException">A segment lies outside the program's half or shares a page with another.</exception>
    /// <exception cref="ArgumentException">The stack's length is not possible: then nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">Another thread runs or changes the program.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
    /// <exception cref="VirtKitException">The memory is used up; a part may be mapped.</exception>
    public void Load(ElfImage image, ulong stackSize = 1 << 20)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (stackSize == 0 || stackSize % PageSize != 0 || stackSize > UserEnd - PageSize)
            throw new ArgumentOutOfRangeException(nameof(stackSize), stackSize, "A stack has whole pages, in the program's half.");
        using Ownership owner = Own();
        ulong entry = image.Entry.Value;
        foreach (ElfSegment segment in image.Segments.Where(s => s.MemorySize > 0))
        {
            ulong start = segment.VirtualAddress.Value & ~(PageSize - 1), padding = segment.VirtualAddress.Value - start;
            if (segment.MemorySize > UserEnd || padding + segment.MemorySize > UserEnd)
                throw new InvalidImageException($"An ELF segment of {segment.MemorySize} bytes is too long.");
            X64UserAccess access = (segment.Access.HasFlag(ElfAccess.Write) ? X64UserAccess.Write : 0) | (segment.Access.HasFlag(ElfAccess.Execute) ? X64UserAccess.Execute : 0);
            try
            {
                ulong size = (padding + segment.MemorySize + PageSize - 1) & ~(PageSize - 1);
                CheckRange(new Gva(start), size);
                MapOwned(new Gva(start), size, access);
            }
            catch (ArgumentException e)
            {
                throw new InvalidImageException($"The ELF segment at {segment.VirtualAddress} cannot be mapped: {e.Message}", e);
            }

            TryWrite(segment.VirtualAddress, segment.Content.Span);
            if (image.Entry - segment.PhysicalAddress < segment.MemorySize)
                entry = segment.VirtualAddress.Value + (image.Entry - segment.PhysicalAddress);
        }

        try
        {
            MapOwned(new Gva(UserEnd - stackSize), stackSize, X64UserAccess.Write);
        }
        catch (ArgumentException e)
        {
            throw new InvalidImageException($"The stack of {stackSize} bytes cannot be mapped: {e.Message}", e);
        }

        // An empty vector of arguments, of environment strings and of auxiliary values: all zero already.
        _changed = true;
        _registers = new X64Registers { Rip = entry, Rsp = UserEnd - 64, Rflags = 0x202 };
    }

    /// <summary>Copies out of the program's memory.</summary>
    /// <returns>Whether all of it is mapped; if not, <paramref name="destination"/> is unspecified.</returns>
    public bool TryRead(Gva address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (!TryTranslate(address, out Gpa at, out int length))
                return false;
            length = Math.Min(length, destination.Length);
            if (!_machine.Memory.TryRead(at, destination[..length]))
                return false;
            destination = destination[length..];
            address = new Gva(address.Value + (ulong)length);
        }

        return true;
    }

    /// <summary>Copies into the program's memory, pages that the program itself cannot write included.</summary>
    /// <returns>Whether all of it is mapped; if not, a part may have been written.</returns>
    public bool TryWrite(Gva address, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            if (!TryTranslate(address, out Gpa at, out int length))
                return false;
            length = Math.Min(length, source.Length);
            if (!_machine.Memory.TryWrite(at, source[..length]))
                return false;
            source = source[length..];
            address = new Gva(address.Value + (ulong)length);
        }

        return true;
    }

    private static void CheckAccess(X64UserAccess access)
    {
        if ((access & ~(X64UserAccess.Write | X64UserAccess.Execute)) != X64UserAccess.Read)
            throw new ArgumentOutOfRangeException(nameof(access), access, "There is no such access.");
    }

    private static void CheckRange(Gva address, ulong size)
    {
        if (size == 0 || size % PageSize != 0 || address.Value % PageSize != 0 || address.Value < PageSize || size > UserEnd || address.Value > UserEnd - size)
            throw new ArgumentException($"{address}, {size} bytes: the program has whole pages between 0x1000 and 0x{UserEnd:x}.", nameof(address));
    }

    private void CheckMapped(Gva address, ulong size)
    {
        CheckRange(address, size);
        for (ulong page = address.Value; page < address.Value + size; page += PageSize)
        {
            if (!_tables.TryFind(page, out _, out _))
                throw new ArgumentException($"0x{page:x} is not mapped.", nameof(address));
        }
    }

    /// <summary>Has the guest's processor change entries: table by table, because their entries follow each other only inside one.</summary>
    private void Edit(ulong address, ulong size, ulong keep, ulong put)
    {
        const ulong table = 512 * PageSize;
        X64State saved = _vcpu.GetState<X64State>();
        try
        {
            for (ulong page = address, end = address + size; page < end;)
            {
                ulong next = Math.Min((page / table + 1) * table, end);
                _tables.TryFindEntry(page, out ulong entry);
                X64State state = saved;
                UserSupervisor.PrepareEdit(ref state, new X64Registers { Rdi = UserSupervisor.DirectMap + entry, Rsi = (next - page) / PageSize, Rdx = page, R8 = keep, R9 = put });
                _vcpu.SetState(in state);
                RunEdit();
                page = next;
            }
        }
        finally
        {
            _vcpu.SetState(in saved);
        }
    }

    private void RunEdit()
    {
        while (true)
        {
            VcpuExit exit = _vcpu.Run();
            if (exit.Reason is not (ExitReason.Halted or ExitReason.Kicked or ExitReason.BudgetExhausted))
                throw new VirtKitException($"The engine cannot change mappings: {exit.Reason}. {exit.Detail}");
            // A kick is one of a timer that fired late.
            ulong behind = _vcpu.GetState<X64Registers>().Rip - UserSupervisor.EditEnd;
            if (behind <= 1)
                return;
            if (exit.Reason == ExitReason.Halted)
                throw new VirtKitException("The engine cannot change mappings: the supervisor's side broke.");
        }
    }

    private bool TryTranslate(Gva address, out Gpa at, out int length)
    {
        ulong offset = address.Value % PageSize;
        bool found = _tables.TryFind(address.Value, out ulong frame, out _);
        at = new Gpa(frame + offset);
        length = (int)(PageSize - offset);
        return found;
    }
}
