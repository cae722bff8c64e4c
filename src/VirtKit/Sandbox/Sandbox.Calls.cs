using System.Diagnostics;
using VirtKit.Boot;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>Calls into the guest and out of it.</summary>
public sealed partial class Sandbox
{
    /// <summary>Time and cancellation are looked at after so many instructions.</summary>
    private const ulong Slice = 1 << 20;

    private const int Ra = 1, Sp = 2, T0 = 5;

    /// <summary>What the calls that are under way have to put back: registers, and how much memory was mapped for arguments.</summary>
    private readonly List<(RiscVUserRegisters Registers, int Memory)> _outer = [];
    private int _depth;
    private ulong _budgetLeft, _outputLeft, _output, _calls, _hostCalls;
    private long _began;

    /// <summary>Looks a function of the guest up: of those that it exports (virtkit.h), else a symbol of the program. What was found is remembered.</summary>
    /// <param name="name">Its name in C.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    public SandboxFunction GetFunction(string name) =>
        TryGetFunction(name, out SandboxFunction? function) ? function : throw new ArgumentException($"The guest has no function {name}.", nameof(name));

    /// <summary>As <see cref="GetFunction"/>, where there may be none.</summary>
    public bool TryGetFunction(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out SandboxFunction? function)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        lock (_byName)
        {
            if (_byName.TryGetValue(name, out function))
                return true;
            if (!_program.Image.TryFindFunction(name, out ulong address))
                return false;
            _byName[name] = function = new SandboxFunction(this, name, address);
            return true;
        }
    }

    /// <summary>Calls a function of the guest. <see cref="SandboxFunction"/> is faster where it is called often, and says how types correspond to those of C.</summary>
    /// <param name="function">Its name.</param>
    /// <param name="a">The first argument; others follow.</param>
    /// <exception cref="ArgumentException">The guest has no such function, or an argument does not fit.</exception>
    /// <inheritdoc cref="SandboxFunction.Invoke{TResult}()"/>
    public TResult Call<TResult>(string function, scoped SandboxArgument a = default, scoped SandboxArgument b = default, scoped SandboxArgument c = default, scoped SandboxArgument d = default,
        scoped SandboxArgument e = default, scoped SandboxArgument f = default) where TResult : allows ref struct =>
        GetFunction(function).Invoke<TResult, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument>(a, b, c, d, e, f);

    /// <summary>Calls a function of the guest that returns nothing.</summary>
    /// <inheritdoc cref="Call{TResult}"/>
    public void Call(string function, scoped SandboxArgument a = default, scoped SandboxArgument b = default, scoped SandboxArgument c = default, scoped SandboxArgument d = default,
        scoped SandboxArgument e = default, scoped SandboxArgument f = default) => Call<Nothing>(function, a, b, c, d, e, f);

    /// <summary>Begins a call.</summary>
    /// <returns>The stack pointer.</returns>
    internal ulong Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        int thread = Environment.CurrentManagedThreadId;
        if (_owner == thread && _depth > 0)
            return EnterAgain();
        if (Interlocked.CompareExchange(ref _owner, thread, Nobody) != Nobody)
            throw Busy();
        if (_failure is not null)
        {
            Disown();
            ThrowIfFailed();
        }

        _depth = 1;
        _calls++;
        _budgetLeft = Budget;
        _began = Deadline == Timeout.InfiniteTimeSpan ? 0 : Stopwatch.GetTimestamp();
        return Layout.StackTop;
    }

    /// <summary>Ends a call.</summary>
    internal void Leave()
    {
        // Disposed of while the call was parked.
        if (_cpu is null)
            return;
        if (_depth > 1)
        {
            LeaveInner();
            return;
        }

        if (_callMemory.Count != 0)
            FreeCallMemory(0);
        _depth = 0;
        Disown();
    }

    /// <summary>Runs the guest until the function that was called returns.</summary>
    internal void RunToReturn()
    {
        if (Advance() is not null)
            throw Fail(new SandboxException("The guest called a function of the host that takes its time: call into the sandbox by CallAsync."));
    }

    /// <summary>Runs the guest until the function that was called returns, or until a function of the host has to complete first.</summary>
    /// <returns>What has to complete; <see langword="null"/> where the function has returned.</returns>
    internal PendingCall? Advance()
    {
        SandboxCpu cpu = _cpu!;
        Hart hart = Hart;
        ulong gate = hart.StopsFrom;
        while (true)
        {
            ulong before = cpu.Retired, slice = Math.Min(_budgetLeft, Slice);
            if (cpu.TryRunToStop(slice))
            {
                _budgetLeft -= cpu.Retired - before;
                if (hart.Pc == gate)
                    return null;
                if (CallHost() is { } waiting)
                    return waiting;
                continue;
            }

            VcpuExit exit = cpu.Run(slice - (cpu.Retired - before));
            _budgetLeft -= cpu.Retired - before;
            // What ends with the very last instruction has ended.
            if (exit.Reason == ExitReason.BudgetExhausted)
                exit = hart.TakeExit() ?? (hart.StopsAt(hart.Pc) ? new VcpuExit(ExitReason.Breakpoint) : exit);
            switch (exit.Reason)
            {
                case ExitReason.Breakpoint when hart.Pc == gate:
                    return null;
                case ExitReason.Breakpoint:
                    if (CallHost() is { } pending)
                        return pending;
                    break;
                case ExitReason.Hypercall:
                    throw Trap(Trapped(TrapCause.EcallFromUser, hart.Pc - 4, 0), "The guest made a call of an operating system, and there is none.");
                case ExitReason.BudgetExhausted or ExitReason.Kicked:
                    CheckLimits();
                    break;
                case ExitReason.Fault:
                    throw Trap(exit.FirstTrap!.Value, null);
                default:
                    throw Fail(new SandboxException($"The engine failed: {exit.Reason}. {exit.Detail}"));
            }
        }
    }

    /// <summary>What the guest logs, as far as it may.</summary>
    /// <exception cref="SandboxLimitException">It is too much.</exception>
    internal void Log(ReadOnlySpan<byte> text)
    {
        if ((ulong)text.Length > _outputLeft)
            throw new SandboxLimitException(SandboxLimit.Output, $"The guest has written its {_program.Options.Output} bytes to the host.");
        _outputLeft -= (ulong)text.Length;
        _output += (ulong)text.Length;
        _program.Options.Log?.Invoke(System.Text.Encoding.UTF8.GetString(text));
    }

    private ulong EnterAgain()
    {
        if (_failure is { } failure)
            throw failure;
        if (_depth > _program.Options.Reentry)
            throw Fail(new SandboxLimitException(SandboxLimit.Reentry, $"Functions of the host have called into the guest {_program.Options.Reentry} deep, which is the limit."));
        _outer.Add((Hart.UserRegisters, _callMemory.Count));
        _depth++;
        _calls++;
        return Hart.State.X[Sp] & ~15UL;
    }

    private void LeaveInner()
    {
        (RiscVUserRegisters registers, int memory) = _outer[^1];
        _outer.RemoveAt(_outer.Count - 1);
        FreeCallMemory(memory);
        // The reservation and the exit of the inner call are gone with it; what it returned has been read.
        Hart.UserRegisters = registers;
        _depth--;
    }

    private void CheckLimits()
    {
        if (_budgetLeft == 0)
            throw Fail(new SandboxLimitException(SandboxLimit.Budget, $"The call has used up its {Budget} instructions."));
        if (_began != 0 && Stopwatch.GetElapsedTime(_began) >= Deadline)
            throw Fail(new SandboxLimitException(SandboxLimit.Deadline, $"The call has taken longer than {Deadline}."));
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Cancellation.IsCancellationRequested)
        {
            _ = Fail(new SandboxException("The call was cancelled."));
            Cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>The guest has jumped to the host's addresses.</summary>
    private PendingCall? CallHost()
    {
        ref RiscVState state = ref Hart.State;
        ulong caller = state.X[Ra], import = state.X[T0] - _program.Image.ImportTable;
        if (Hart.Pc != Layout.HostGate || import % 16 != 0 || import / 16 >= (ulong)_program.Image.Imports.Length)
            throw Trap(Trapped(TrapCause.InstructionPageFault, Hart.Pc, Hart.Pc), null);
        if (_program.FunctionOf((int)(import / 16)) is not { } function)
            throw Trap(Trapped(TrapCause.EcallFromUser, caller, 0), $"The guest called {_program.Image.Imports[import / 16]}, which the host does not expose.");
        // The function returns as one of the guest's would.
        Hart.Pc = caller;
        _hostCalls++;
        PendingCall? pending;
        try
        {
            pending = function.Invoke(this);
        }
        catch (GuestPointerException e)
        {
            TrapCause cause = e.Access.HasFlag(ElfAccess.Write) ? TrapCause.StorePageFault : TrapCause.LoadPageFault;
            throw Trap(Trapped(cause, caller, e.Address), $"The guest passed {function.Name} a pointer to what is not its memory, 0x{e.Address:x}.");
        }
        catch (SandboxException e)
        {
            _ = Fail(e);
            throw;
        }
        catch (Exception e)
        {
            _ = Fail(new SandboxException($"{function.Name}, a function of the host, threw: {e.Message}", e));
            throw;
        }

        if (_failure is { } failure)
            throw failure;
        ObjectDisposedException.ThrowIf(_disposed, this);
        return pending;
    }

    private static GuestTrap Trapped(TrapCause cause, ulong pc, ulong value) => new((ulong)cause, new Gva(pc), value, TrapName.Of((ulong)cause));

    /// <summary>The exception of a guest that has trapped.</summary>
    private SandboxException Trap(GuestTrap trap, string? reason)
    {
        string? name = _program.Image.TryFindSymbol(trap.Pc.Value, out ElfSymbol symbol) ? symbol.ToString() : null;
        return Fail(new SandboxTrapException(trap, name, reason ?? $"The guest trapped: {trap.Description} at {trap.Pc}, value 0x{trap.Value:x}."));
    }

    /// <summary>No call is possible until the next reset.</summary>
    private SandboxException Fail(SandboxException failure)
    {
        _failure ??= failure;
        return failure;
    }
}
