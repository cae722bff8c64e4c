using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Encoding = System.Text.Encoding;
using VirtKit.Boot;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>A call of the host into the guest: its arguments, put into registers and onto the stack as they come, the run, and the result (RISC-V ELF psABI, "Integer Calling
/// Convention" and "Hardware Floating-point Calling Convention", LP64D).</summary>
/// <remarks>Generic over the types: the branches on them vanish when a method is compiled for one.</remarks>
internal struct GuestCall
{
    private const int Registers = 8, Ra = 1, Sp = 2, Gp = 3, S0 = 8, A0 = 10, Fa0 = 10, MaxOnStack = 2 * Registers, MaxCopiedBack = Registers;
    private const ulong NotANumber = 0xffff_ffff_0000_0000;

    private readonly Sandbox _sandbox;
    private readonly Hart _hart;
    private int _integers, _floats, _onStack, _copiedBack, _copied;
    private ulong _stack, _result;

    /// <summary>What seldom is needed: the arguments on the stack, and where what is copied back lies.</summary>
    private ulong[]? _overflow, _back;

    /// <summary>Whether the caller does not wait.</summary>
    public bool IsAsync { get; set; }

    /// <summary>Takes the sandbox for a call.</summary>
    public GuestCall(Sandbox sandbox)
    {
        _sandbox = sandbox;
        _stack = sandbox.Enter();
        _hart = sandbox.Hart;
    }

    /// <summary>Checks the type of the result, and makes room for one that is returned through a pointer. Before any argument.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TResult>() where TResult : allows ref struct
    {
        if (typeof(TResult) == typeof(Nothing) || GuestTypes.IsInteger<TResult>() || GuestTypes.IsFloat<TResult>() || GuestTypes.IsText<TResult>() || GuestTypes.IsSpan<TResult>())
            return;
        if (GuestTypes.Check<TResult>() is { } objection)
            throw new ArgumentException(objection, nameof(TResult));
        _result = _sandbox.AllocateForCall(ref _stack, (ulong)Unsafe.SizeOf<TResult>());
        AddInteger(_result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add<T>(scoped T value) where T : allows ref struct
    {
        if (typeof(T) == typeof(SandboxArgument))
            AddAny(Unsafe.As<T, SandboxArgument>(ref value));
        else if (typeof(T) == typeof(float))
            AddFloat(NotANumber | BitConverter.SingleToUInt32Bits(Unsafe.As<T, float>(ref value)));
        else if (typeof(T) == typeof(double))
            AddFloat(BitConverter.DoubleToUInt64Bits(Unsafe.As<T, double>(ref value)));
        else if (typeof(T) == typeof(string))
            AddText(Unsafe.As<T, string?>(ref value));
        else if (typeof(T) == typeof(byte[]))
            AddBytes(Unsafe.As<T, byte[]?>(ref value), Unsafe.As<T, byte[]?>(ref value)?.Length ?? 0);
        else if (typeof(T) == typeof(ReadOnlyMemory<byte>))
            AddBytes(Unsafe.As<T, ReadOnlyMemory<byte>>(ref value).Span, Unsafe.As<T, ReadOnlyMemory<byte>>(ref value).Length);
        else if (GuestTypes.IsInteger<T>())
            AddInteger(GuestTypes.ToRegister(ref value));
        else if (GuestTypes.IsSpan<T>())
            AddSpan(ref value);
        else
            AddPointer(GuestTypes.BytesOf(ref value));
    }

    /// <summary>Runs the function.</summary>
    public void Run(SandboxFunction function)
    {
        Prepare(function);
        _sandbox.RunToReturn();
        function.UsesFloat |= _hart.UsesFloat;
    }

    /// <summary>Puts the guest in front of the function.</summary>
    public void Prepare(SandboxFunction function)
    {
        ref RiscVState state = ref _hart.State;
        if (_onStack != 0)
        {
            _stack = _sandbox.AllocateForCall(ref _stack, (ulong)_onStack * 8);
            MemoryMarshal.AsBytes(_overflow.AsSpan(0, _onStack)).CopyTo(_sandbox.Bytes(_stack, (ulong)_onStack * 8));
        }

        state.X[Ra] = _hart.StopsFrom;
        state.X[Sp] = _stack;
        state.X[Gp] = _sandbox.GlobalPointer;
        state.X[S0] = 0;
        _hart.Pc = function.Address.Value;
        _hart.UsesFloat = function.UsesFloat;
    }

    /// <summary>Copies what the guest left of an argument that it may change.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CopyBack<T>(scoped ref T value) where T : allows ref struct
    {
        if (typeof(T) == typeof(SandboxArgument))
        {
            if (Unsafe.As<T, SandboxArgument>(ref value).Kind is ArgumentKind.InOut or ArgumentKind.StructureInOut)
                CopyNextTo(Unsafe.As<T, SandboxArgument>(ref value).Target);
        }
        else if (GuestTypes.IsWritableSpan<T>())
        {
            CopyNextTo(GuestTypes.AsBytes(ref value, out _));
        }
    }

    /// <summary>What the function returned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Result<T>() where T : allows ref struct
    {
        Unsafe.SkipInit(out T value);
        ref RiscVState state = ref _hart.State;
        if (typeof(T) == typeof(Nothing))
            return value;
        if (typeof(T) == typeof(float))
            Unsafe.As<T, float>(ref value) = HostCall.ToSingle(state.F[Fa0]);
        else if (typeof(T) == typeof(double))
            Unsafe.As<T, double>(ref value) = BitConverter.UInt64BitsToDouble(state.F[Fa0]);
        else if (GuestTypes.IsInteger<T>())
            GuestTypes.FromRegister(state.X[A0], out value);
        else
            _sandbox.Result(state.X[A0], state.X[A0 + 1], _result, ref value);
        return value;
    }

    /// <summary>Gives the sandbox back. Also where the call failed.</summary>
    public readonly void Dispose() => _sandbox.Leave();

    private void AddAny(scoped in SandboxArgument argument)
    {
        switch (argument.Kind)
        {
            case ArgumentKind.Integer:
                AddInteger(argument.Bits);
                break;
            case ArgumentKind.Single:
                AddFloat(NotANumber | argument.Bits);
                break;
            case ArgumentKind.Double:
                AddFloat(argument.Bits);
                break;
            case ArgumentKind.Text:
                AddText(argument.Text);
                break;
            case ArgumentKind.In:
                AddBytes(argument.Bytes, argument.Count);
                break;
            case ArgumentKind.InOut:
                NoteCopiedBack(AddBytes(argument.Bytes, argument.Count));
                break;
            case ArgumentKind.Structure:
                AddPointer(argument.Bytes);
                break;
            case ArgumentKind.StructureInOut:
                NoteCopiedBack(AddPointer(argument.Bytes));
                break;
        }
    }

    private void AddInteger(ulong value)
    {
        if (_integers < Registers)
            _hart.State.X[A0 + _integers++] = value;
        else if (_onStack < MaxOnStack)
            (_overflow ??= new ulong[MaxOnStack])[_onStack++] = value;
        else
            throw new ArgumentException("A call has at most 8 integers in registers and 16 values on the stack.");
    }

    private void AddFloat(ulong value)
    {
        if (_floats < Registers)
            _hart.State.F[Fa0 + _floats++] = value;
        else
            AddInteger(value);
    }

    private void AddText(string? text)
    {
        if (text is null)
        {
            AddInteger(0);
            return;
        }

        int length = Encoding.UTF8.GetByteCount(text);
        ulong at = _sandbox.AllocateForCall(ref _stack, (ulong)length + 1);
        Span<byte> bytes = _sandbox.Bytes(at, (ulong)length + 1);
        bytes[Encoding.UTF8.GetBytes(text, bytes)] = 0;
        AddInteger(at);
    }

    private void AddSpan<T>(scoped ref T value) where T : allows ref struct
    {
        ulong at = AddBytes(GuestTypes.AsBytes(ref value, out int count), count);
        if (GuestTypes.IsWritableSpan<T>())
            NoteCopiedBack(at);
    }

    private ulong AddBytes(scoped ReadOnlySpan<byte> bytes, int count)
    {
        ulong at = AddPointer(bytes);
        AddInteger((ulong)count);
        return at;
    }

    private ulong AddPointer(scoped ReadOnlySpan<byte> bytes)
    {
        ulong at = _sandbox.AllocateForCall(ref _stack, (ulong)bytes.Length);
        bytes.CopyTo(_sandbox.Bytes(at, (ulong)bytes.Length));
        AddInteger(at);
        return at;
    }

    private void NoteCopiedBack(ulong at)
    {
        if (IsAsync)
            throw new ArgumentException("Nothing can be copied back to a span once the method has returned that was given it: pass what the guest only reads.");
        (_back ??= new ulong[MaxCopiedBack])[_copiedBack++] = at;
    }

    private void CopyNextTo(scoped Span<byte> target)
    {
        // In the order in which they were noted.
        ulong at = _back![_copied++];
        _sandbox.Checked(at, (ulong)target.Length, ElfAccess.Read).CopyTo(target);
    }
}

/// <summary>The result of a function that has none.</summary>
internal readonly struct Nothing;
