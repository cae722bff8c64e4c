using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using VirtKit.Boot;

namespace VirtKit.X86;

/// <summary>A program in ring 3 of long mode without a guest kernel. Its instructions run at the engine's full speed; system calls, exceptions and privileged
/// instructions come back as typed exits with the full state, and the host decides how to go on.</summary>
/// <remarks>The lower half of the address space, 0x1000 to 0x7fff_ffff_efff, is the program's. A mapping stays as it was made. One thread at a time.
/// The engine has to let HLT come back to the host, so its interrupt controller must not be its own.</remarks>
public sealed class X64UserProgram : IDisposable
{
    private const ulong PageSize = AddressSpace.PageSize, UserEnd = 0x7fff_ffff_f000;
    private const ulong ResumeFlag = 1 << 16, SettableFlags = 0x24_4dd5;

    private readonly Machine _machine;
    private readonly Vcpu _vcpu;
    private readonly UserPageTables _tables;
    private readonly ulong _stackFrame;
    private readonly Timer _timer;
    private X64Registers _registers;
    private bool _inSupervisor = true;
    private bool _changed = true;

    /// <summary>Creates a machine for a program that has no memory yet.</summary>
    /// <param name="options">What it runs on.</param>
    /// <exception cref="ArgumentException">The memory size is out of range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run here; the message says why.</exception>
    public X64UserProgram(X64UserOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.MemorySize is < 0x1_0000 or > 64UL << 30 || options.MemorySize % PageSize != 0)
            throw new ArgumentException($"{options.MemorySize} bytes of memory: 64 KiB to 64 GiB in whole pages are possible.", nameof(options));
        _machine = new Machine(new MachineOptions
        {
            Architecture = new X64Architecture { Cpuid = options.Cpuid },
            Engine = options.Engine,
            Scheduling = VcpuScheduling.Threads,
            Logger = options.Logger,
        });
        try
        {
            _vcpu = _machine.Vcpus[0];
            _machine.Memory.MapRam(new Gpa(0), options.MemorySize);
            _tables = new UserPageTables(_machine.Memory, PageSize, options.MemorySize);
            _stackFrame = UserSupervisor.Build(_machine.Memory, _tables);
            Start();
        }
        catch
        {
            _machine.Dispose();
            throw;
        }

        _timer = new Timer(static vcpu => ((Vcpu)vcpu!).Kick(), _vcpu, Timeout.Infinite, Timeout.Infinite);
        _registers.Rflags = 0x202;
    }

    /// <summary>The program's general registers. Setting them takes effect at the next <see cref="Run"/>; flags that user mode cannot set are ignored.</summary>
    public X64Registers Registers
    {
        get => _registers;
        set
        {
            _registers = value;
            _changed = true;
        }
    }

    /// <summary>Bytes that can still be mapped, page tables included.</summary>
    public ulong FreeMemory => _tables.FreeFrames * PageSize;

    /// <summary>Copies the whole state out, as the program sees it: in ring 3, with <see cref="Registers"/>.</summary>
    public void GetState(out X64State state)
    {
        state = _vcpu.GetState<X64State>();
        state.Registers = _registers;
        if (_inSupervisor)
        {
            state.Cs = X64Segment.Code(UserSupervisor.UserCode, 64);
            state.Ss = X64Segment.Data(UserSupervisor.UserData, 64);
        }
    }

    /// <summary>Sets the bases of FS and GS, where a program keeps its thread's data.</summary>
    /// <param name="fs">The linear address for FS, in the program's half.</param>
    /// <param name="gs">The linear address for GS, in the program's half.</param>
    /// <exception cref="ArgumentOutOfRangeException">An address is not in the program's half.</exception>
    public void SetSegmentBases(Gva fs, Gva gs)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(fs.Value, UserEnd);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(gs.Value, UserEnd);
        X64State state = _vcpu.GetState<X64State>();
        (state.Fs.Base, state.Gs.Base) = (fs.Value, gs.Value);
        _vcpu.SetState(in state);
    }

    /// <summary>Maps zeroed memory.</summary>
    /// <param name="address">The first address, a multiple of 4096, at least 4096.</param>
    /// <param name="size">The length in bytes, a positive multiple of 4096.</param>
    /// <param name="access">What the program may do with it.</param>
    /// <exception cref="ArgumentException">Not aligned, outside the program's half, or mapped already.</exception>
    /// <exception cref="VirtKitException">The memory is used up; a part may be mapped.</exception>
    public void Map(Gva address, ulong size, X64UserAccess access)
    {
        if (size == 0 || size % PageSize != 0 || address.Value % PageSize != 0 || address.Value < PageSize || size > UserEnd || address.Value > UserEnd - size)
            throw new ArgumentException($"{address}, {size} bytes: whole pages between 0x1000 and 0x{UserEnd:x} can be mapped.", nameof(address));
        for (ulong page = address.Value; page < address.Value + size; page += PageSize)
        {
            if (_tables.TryFind(page, out _, out _))
                throw new ArgumentException($"0x{page:x} is mapped already.", nameof(address));
            _tables.Map(page, _tables.TakeFrame(), user: true, access);
        }
    }

    /// <summary>Maps a static executable and a stack, and sets RIP and RSP for its start: no arguments, no environment (System V ABI, AMD64 supplement, §3.4.1).</summary>
    /// <param name="image">The executable. Its segments are mapped at their virtual addresses with the access that the file gives them.</param>
    /// <param name="stackSize">The stack's length in bytes, a positive multiple of 4096; it ends below 0x7fff_ffff_f000, with nothing mapped under it.</param>
    /// <exception cref="InvalidImageException">A segment lies outside the program's half or shares a page with another.</exception>
    /// <exception cref="ArgumentException">The stack's length is not possible.</exception>
    /// <exception cref="VirtKitException">The memory is used up; a part may be mapped.</exception>
    public void Load(ElfImage image, ulong stackSize = 1 << 20)
    {
        ArgumentNullException.ThrowIfNull(image);
        ulong entry = image.Entry.Value;
        foreach (ElfSegment segment in image.Segments.Where(s => s.MemorySize > 0))
        {
            ulong start = segment.VirtualAddress.Value & ~(PageSize - 1), padding = segment.VirtualAddress.Value - start;
            if (segment.MemorySize > UserEnd || padding + segment.MemorySize > UserEnd)
                throw new InvalidImageException($"An ELF segment of {segment.MemorySize} bytes is too long.");
            X64UserAccess access = (segment.Access.HasFlag(ElfAccess.Write) ? X64UserAccess.Write : 0) | (segment.Access.HasFlag(ElfAccess.Execute) ? X64UserAccess.Execute : 0);
            try
            {
                Map(new Gva(start), (padding + segment.MemorySize + PageSize - 1) & ~(PageSize - 1), access);
            }
            catch (ArgumentException e)
            {
                throw new InvalidImageException($"The ELF segment at {segment.VirtualAddress} cannot be mapped: {e.Message}", e);
            }

            TryWrite(segment.VirtualAddress, segment.Content.Span);
            if (image.Entry - segment.PhysicalAddress < segment.MemorySize)
                entry = segment.VirtualAddress.Value + (image.Entry - segment.PhysicalAddress);
        }

        Map(new Gva(UserEnd - stackSize), stackSize, X64UserAccess.Write);
        // An empty vector of arguments, of environment strings and of auxiliary values: all zero already.
        Registers = new X64Registers { Rip = entry, Rsp = UserEnd - 64, Rflags = 0x202 };
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

    /// <summary>Runs the program.</summary>
    /// <param name="budget">The most host time to run, positive, rounded up to milliseconds; <see cref="Timeout.InfiniteTimeSpan"/> for no limit.</param>
    /// <param name="cancellationToken">Stops it from any thread.</param>
    /// <returns>Why it came back. <see cref="Registers"/> are as of then.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The budget is neither positive nor infinite, or longer than 24 days.</exception>
    public X64UserExit Run(TimeSpan budget, CancellationToken cancellationToken = default)
    {
        bool limited = budget != Timeout.InfiniteTimeSpan;
        if (limited && (budget <= TimeSpan.Zero || budget.TotalMilliseconds > int.MaxValue))
            throw new ArgumentOutOfRangeException(nameof(budget), budget, "The budget has to be positive.");
        if (cancellationToken.IsCancellationRequested)
            return new X64UserExit(X64UserExitReason.Cancelled);
        if (_changed)
            Resume();
        long start = Stopwatch.GetTimestamp();
        if (limited)
            _timer.Change((long)Math.Ceiling(budget.TotalMilliseconds), Timeout.Infinite);
        try
        {
            while (true)
            {
                VcpuExit exit = _vcpu.Run(cancellationToken: cancellationToken);
                if (Observe() is { } trap)
                    return trap;
                switch (exit.Reason)
                {
                    case ExitReason.Kicked when cancellationToken.IsCancellationRequested:
                        return new X64UserExit(X64UserExitReason.Cancelled);
                    case ExitReason.Kicked when limited && Stopwatch.GetElapsedTime(start) >= budget:
                        return new X64UserExit(X64UserExitReason.TimeExpired);
                    case ExitReason.Kicked or ExitReason.BudgetExhausted:
                        // A timer of an earlier run that fired late, or one that was early by a fraction.
                        if (limited)
                            _timer.Change(1, Timeout.Infinite);
                        break;
                    case ExitReason.Unsupported:
                        return new X64UserExit(X64UserExitReason.Unsupported, Detail: exit.Detail);
                    default:
                        return new X64UserExit(X64UserExitReason.InternalError, Detail: $"{exit.Reason} in ring 0. {exit.Detail}");
                }
            }
        }
        catch (OperationCanceledException)
        {
            return new X64UserExit(X64UserExitReason.Cancelled);
        }
        finally
        {
            if (limited)
                _timer.Change(Timeout.Infinite, Timeout.Infinite);
        }
    }

    /// <summary>Releases the machine.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        _machine.Dispose();
    }

    private void Start()
    {
        X64State state = _vcpu.GetState<X64State>();
        UserSupervisor.Prepare(ref state, _tables.Root);
        // AVX needs the operating system's consent; a processor without it, or a policy that hides it, refuses the state.
        const ulong osxsave = 1 << 18;
        foreach (ulong components in (ReadOnlySpan<ulong>)[0xe7, 0x7])
        {
            X64State extended = state;
            extended.Cr4 |= osxsave;
            extended.Xcr0 = components;
            try
            {
                _vcpu.SetState(in extended);
                return;
            }
            catch (ArgumentException)
            {
            }
        }

        _vcpu.SetState(in state);
    }

    /// <summary>Hands the registers to the vCPU: through an IRETQ from ring 0, or directly where it stands in ring 3.</summary>
    private void Resume()
    {
        _changed = false;
        X64Registers next = _registers;
        ulong flags = (next.Rflags & (SettableFlags | ResumeFlag)) | 0x202;
        if (_inSupervisor)
        {
            Span<byte> frame = stackalloc byte[UserSupervisor.FrameSize];
            BinaryPrimitives.WriteUInt64LittleEndian(frame, Canonical(next.Rip));
            BinaryPrimitives.WriteUInt64LittleEndian(frame[8..], UserSupervisor.UserCode);
            BinaryPrimitives.WriteUInt64LittleEndian(frame[16..], flags);
            BinaryPrimitives.WriteUInt64LittleEndian(frame[24..], next.Rsp);
            BinaryPrimitives.WriteUInt64LittleEndian(frame[32..], UserSupervisor.UserData);
            _machine.Memory.Write(new Gpa(_stackFrame + PageSize - UserSupervisor.FrameSize), frame);
            (next.Rip, next.Rsp, next.Rflags) = (UserSupervisor.ReturnStub, UserSupervisor.FrameAddress, 2);
        }
        else
        {
            (next.Rip, next.Rflags) = (Canonical(next.Rip), flags);
        }

        _vcpu.SetState(in next);
    }

    /// <summary>An IRETQ to a non-canonical address would fault in ring 0; the program faults at 0 instead, where nothing is mapped.</summary>
    private static ulong Canonical(ulong rip) => rip >> 47 == 0 ? rip : 0;

    /// <summary>Finds out where the vCPU stands and takes the program's registers from there.</summary>
    /// <returns>The trap that brought it to ring 0, or <see langword="null"/>.</returns>
    private X64UserExit? Observe()
    {
        X64Registers found = _vcpu.GetState<X64Registers>();
        if (found.Rip == UserSupervisor.ReturnStub)
            return null; // not entered yet: the registers are still what they were set to
        if (!UserSupervisor.TryDecode(found.Rip, out int vector))
        {
            _registers = found;
            _inSupervisor = found.Rip >= UserSupervisor.Base;
            return null;
        }

        bool hasCode = UserSupervisor.HasErrorCode(vector);
        ulong offset = found.Rsp - (UserSupervisor.StackTop - PageSize);
        Span<ulong> frame = stackalloc ulong[6];
        Span<byte> bytes = MemoryMarshal.AsBytes(frame)[..(hasCode ? 48 : 40)];
        if (offset > PageSize - (ulong)bytes.Length || !_machine.Memory.TryRead(new Gpa(_stackFrame + offset), bytes))
            return new X64UserExit(X64UserExitReason.InternalError, Detail: $"Stack at 0x{found.Rsp:x}.");
        uint errorCode = hasCode ? (uint)frame[0] : 0;
        if (hasCode)
            frame = frame[1..];
        _inSupervisor = true;
        _changed = true;
        _registers = found with { Rip = frame[0], Rflags = frame[2], Rsp = frame[3] };
        if ((frame[1] & 3) != 3)
            return new X64UserExit(X64UserExitReason.InternalError, (byte)vector, errorCode, Detail: $"Exception {vector} in ring 0 at 0x{frame[0]:x}.");
        return Classify(vector, errorCode);
    }

    private X64UserExit Classify(int vector, uint errorCode)
    {
        Span<byte> code = stackalloc byte[15];
        switch (vector)
        {
            case 6 when TryRead(new Gva(_registers.Rip), code[..2]) && code[0] == 0x0f && code[1] == 0x05:
                _registers.Rip += 2;
                (_registers.Rcx, _registers.R11) = (_registers.Rip, _registers.Rflags & ~ResumeFlag);
                return new X64UserExit(X64UserExitReason.SystemCall);
            case 14 when _registers.Rip == UserSupervisor.SystemCallTarget:
                _registers.R11 &= ~ResumeFlag;
                (_registers.Rip, _registers.Rflags) = (_registers.Rcx, _registers.R11);
                return new X64UserExit(X64UserExitReason.SystemCall);
            case 13 when errorCode == 0 && UserSupervisor.IsPrivileged(code[..ReadCode(code)]):
                return new X64UserExit(X64UserExitReason.PrivilegedInstruction, 13);
            case 14:
                return new X64UserExit(X64UserExitReason.Fault, 14, errorCode, new Gva(_vcpu.GetState<X64State>().Cr2));
            default:
                return new X64UserExit(X64UserExitReason.Fault, (byte)vector, errorCode);
        }
    }

    private int ReadCode(Span<byte> code)
    {
        int length = 0;
        while (length < code.Length && TryRead(new Gva(_registers.Rip + (ulong)length), code.Slice(length, 1)))
            length++;
        return length;
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
