using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace VirtKit.X86;

/// <summary>A program in ring 3 of long mode without a guest kernel. Its instructions run at the engine's full speed; system calls, exceptions and privileged
/// instructions come back as typed exits with the full state, and the host decides how to go on.</summary>
/// <remarks>The lower half of the address space, 0x1000 to 0x7fff_ffff_efff, is the program's. One thread at a time: a second one is refused. <see cref="Dispose"/> is for any
/// thread; a <see cref="Run"/> under way ends.
/// The engine has to let HLT come back to the host, so its interrupt controller must not be its own.</remarks>
public sealed partial class X64UserProgram : IDisposable
{
    private const ulong PageSize = AddressSpace.PageSize, UserEnd = 0x7fff_ffff_f000;
    private const ulong ResumeFlag = 1 << 16, SettableFlags = 0x24_4dd5;

    private readonly Machine _machine;
    private readonly Vcpu _vcpu;
    private readonly UserPageTables _tables;
    private readonly ulong _stackFrame;
    private readonly Timer _timer;
    private X64Registers _registers;
    private int _owned;
    private volatile bool _disposed;
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
            _stackFrame = UserSupervisor.Build(_machine.Memory, _tables, options.MemorySize);
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
    /// <exception cref="InvalidOperationException">They are set while another thread runs or changes the program.</exception>
    public X64Registers Registers
    {
        get => _registers;
        set
        {
            using Ownership owner = Own();
            _registers = value;
            _changed = true;
        }
    }

    /// <summary>Bytes that can still be mapped, page tables included.</summary>
    public ulong FreeMemory => _tables.FreeFrames * PageSize;

    /// <summary>Copies the whole state out, as the program sees it: in ring 3, with <see cref="Registers"/>.</summary>
    /// <exception cref="InvalidOperationException">Another thread runs or changes the program.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
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
        using Ownership owner = Own();
        X64State state = _vcpu.GetState<X64State>();
        (state.Fs.Base, state.Gs.Base) = (fs.Value, gs.Value);
        _vcpu.SetState(in state);
    }

    /// <summary>Runs the program.</summary>
    /// <param name="budget">The most host time to run, positive, rounded up to milliseconds; <see cref="Timeout.InfiniteTimeSpan"/> for no limit.</param>
    /// <param name="cancellationToken">Stops it from any thread.</param>
    /// <returns>Why it came back. <see cref="Registers"/> are as of then.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The budget is neither positive nor infinite, or longer than 24 days.</exception>
    /// <exception cref="InvalidOperationException">Another thread runs or changes the program.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
    public X64UserExit Run(TimeSpan budget, CancellationToken cancellationToken = default)
    {
        bool limited = budget != Timeout.InfiniteTimeSpan;
        if (limited && (budget <= TimeSpan.Zero || budget.TotalMilliseconds > int.MaxValue))
            throw new ArgumentOutOfRangeException(nameof(budget), budget, "The budget has to be positive.");
        using Ownership owner = Own();
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
        finally
        {
            if (limited)
                _timer.Change(Timeout.Infinite, Timeout.Infinite);
        }
    }

    /// <summary>Releases the machine. Any thread; a <see cref="Run"/> under way ends with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        _disposed = true;
        _timer.Dispose();
        _machine.Dispose();
    }

    /// <summary>Takes the program for one operation.</summary>
    /// <exception cref="InvalidOperationException">Another thread has it.</exception>
    /// <exception cref="ObjectDisposedException">The program has been disposed of.</exception>
    private Ownership Own()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return Interlocked.CompareExchange(ref _owned, 1, 0) == 0 ? new Ownership(this) : throw new InvalidOperationException("Another thread runs or changes the program.");
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
        _changed = false;
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

        bool hasCode = X64Exception.HasErrorCode(vector);
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

    private readonly ref struct Ownership(X64UserProgram program)
    {
        public void Dispose() => Volatile.Write(ref program._owned, 0);
    }

    private int ReadCode(Span<byte> code)
    {
        int length = 0;
        while (length < code.Length && TryRead(new Gva(_registers.Rip + (ulong)length), code.Slice(length, 1)))
            length++;
        return length;
    }
}
