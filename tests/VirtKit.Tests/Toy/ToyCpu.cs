using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;
using VirtKit.Interpreter;
using VirtKit.State;

namespace VirtKit.Tests.Toy;

/// <summary>The slots of the toy CPU.</summary>
internal static class ToySlots
{
    /// <summary>r0 to r15 come first; v0 to v3 have two slots each, the low half first; f0 to f3 hold a double, or a single with zeroes above.</summary>
    public const int Registers = 16, Zero = 16, Carry = 17, Negative = 18, Less = 19, Vectors = 20, Floats = 28, Mode = 32, Cause = 33, ReturnTo = 34, Handler = 35, Status = 36, Count = 37;

    public static readonly string[] Names = [.. Enumerable.Range(0, Registers).Select(i => $"r{i}"), "zero", "carry", "negative", "less", .. Enumerable.Range(0, 8).Select(i => $"v{i / 2}{(i % 2 == 0 ? "low" : "high")}"), "f0", "f1", "f2", "f3", "mode", "cause", "return", "handler", "status"];

    public static readonly GuestRegisterFile File = new()
    {
        Integers = 28, Floats = 4, Zero = -1, StackPointer = 15, Pinned = [0, 1, 2, 3, 12, 13, 14, 15], PinnedFloats = [Floats, Floats + 2], FloatStatus = 8 * Status, RoundingControl = ToyCpu.RoundingControl, Inexact = ToyCpu.Inexact, FloatStatusName = "Status",
    };
}

/// <summary>Two address spaces over one memory: in mode 0 addresses are physical, in mode 1 they stand <see cref="Distance"/> higher, and only the pages from
/// <see cref="Open"/> to <see cref="Closed"/> can be written, code among them: what is stored there shows at once.</summary>
internal sealed unsafe class ToyCpu : GuestCpu
{
    public const ulong Distance = 0x10_0000, Open = 0, Closed = 0x6000;
    public const ulong IllegalCause = 1, FetchCause = 2, LoadCause = 3, StoreCause = 4;

    /// <summary>Bits of the status register. The rounding mode is not in the low byte, and its values are not those of <see cref="RoundingMode"/>.</summary>
    public const uint Inexact = 0x20, RoundingControl = 0x6000;

    private const int MemoryModes = 2;

    private static readonly RoundingMode[] RoundingModes = [RoundingMode.NearestEven, RoundingMode.Down, RoundingMode.Up, RoundingMode.TowardsZero];

    private readonly ToySystem _system;
    private readonly Tlb _tlb = new(MemoryModes, MemoryModes);
    private ulong _cause;
    private ulong _misses;
    private ulong _trapRetired = ulong.MaxValue;
    private ulong _trapsBefore;

    public ToyCpu(ToySystem system, int id)
        : base(system, id, 8 * ToySlots.Count)
    {
        _system = system;
        Context->FloatReady = 1;
        SelectMode();
        Reset();
    }

    public override ulong TlbMisses => _misses;

    public override bool HasWork => true;

    public override string? CannotBeWoken => null;

    public override int CodeMode => (int)Slots[ToySlots.Mode];

    public override bool TrapsWithoutEnd => Traps - _trapsBefore > 30_000;

    public override bool HasJustTrapped => _trapRetired == Context->Retired;

    private ulong Base => CodeMode == 0 ? 0 : Distance;

    private ulong Status
    {
        get => Slots[ToySlots.Status];
        set
        {
            Slots[ToySlots.Status] = value;
            StatusChanged();
        }
    }

    private RoundingMode CurrentMode => RoundingModes[(Slots[ToySlots.Status] & RoundingControl) >> 13];

    public static bool SwitchMode(ToyCpu cpu, in Operands o)
    {
        cpu.Slots[ToySlots.Mode] ^= 1;
        cpu.NextPc = cpu.CodeMode == 0 ? cpu.NextPc - Distance : cpu.NextPc + Distance;
        cpu.SelectMode();
        return true;
    }

    public static bool Return(ToyCpu cpu, in Operands o)
    {
        cpu.NextPc = cpu.Slots[ToySlots.ReturnTo] + cpu.Base;
        return true;
    }

    public static bool SetStatus(ToyCpu cpu, in Operands o)
    {
        cpu.Status = cpu.Slots[o.Rs1] & (RoundingControl | Inexact);
        return true;
    }

    /// <summary>A call, because translated code writes the inexact flag down when it is left.</summary>
    public static bool GetStatus(ToyCpu cpu, in Operands o)
    {
        cpu.Slots[o.Rd] = cpu.Status;
        return true;
    }

    public override VcpuExit TrapExit() => new(ExitReason.Fault);

    public override void Reset() => Engine?.CodeBytesChanged();

    public override void Dispose() => _tlb.Dispose();

    public override bool HasPin(int pin) => false;

    public override bool CanRun()
    {
        _trapsBefore = Traps;
        return true;
    }

    public override bool IllegalInstruction() => Trap(IllegalCause);

    /// <summary>Where the handler can find it: physical, so that it means the same in both modes.</summary>
    public override void TakeTrap()
    {
        Traps++;
        _trapRetired = Context->Retired;
        Slots[ToySlots.Cause] = _cause;
        Slots[ToySlots.ReturnTo] = Pc - Base + 1;
        Pc = Slots[ToySlots.Handler] + Base;
    }

    public override bool TryTranslateCode(ulong address, out ulong page, out byte* host, out bool cached)
    {
        cached = true;
        if (_tlb.TryFindCode(CodeMode, address, out page, out host))
            return true;
        _misses++;
        page = (address - Base) & ~0xfffUL;
        host = null;
        if (_system.Memory.Find(new Gpa(page)) is not { IsMemory: true } region)
            return Trap(FetchCause);
        host = (byte*)region.HostAddress + (page - region.Start.Value);
        if (_tlb.AddCode(CodeMode, address, page, host) is var replaced and not TlbEntry.Invalid)
            Engine?.CodeMappingChanged(0, replaced);
        return true;
    }

    public override bool TryTranslateData(ulong address, int size, MemoryAccess access, out ulong physical, out MemoryRegion? region)
    {
        physical = address - Base;
        region = _system.Memory.Find(new Gpa(physical));
        if (region is not { IsMemory: true } || (access == MemoryAccess.Store && !IsWritable(physical)))
            return Trap(access == MemoryAccess.Store ? StoreCause : LoadCause);
        if (access == MemoryAccess.Store && IsWatched(physical & ~0xfffUL))
            return true;
        TlbEntry* entry = TlbEntry.At(access == MemoryAccess.Load ? Context->ReadTlb : Context->WriteTlb, address);
        if (entry->Tag != (address & ~0xfffUL))
        {
            _misses++;
            if (entry->Tag != TlbEntry.Invalid)
                Engine?.DataMappingChanged(entry->Tag);
            entry->Tag = address & ~0xfffUL;
            entry->Addend = (nint)((ulong)region.HostAddress + (physical & ~0xfffUL) - region.Start.Value - entry->Tag);
            _tlb.Filled(entry);
        }

        return true;
    }

    public override void GetRegisters(Span<byte> registers)
    {
        new ReadOnlySpan<byte>(Slots, 8 * ToySlots.Count).CopyTo(registers);
        BitConverter.TryWriteBytes(registers[(8 * ToySlots.Count)..], Pc);
    }

    public override void PutRegisters(ReadOnlySpan<byte> registers)
    {
        registers[..(8 * ToySlots.Count)].CopyTo(new Span<byte>(Slots, 8 * ToySlots.Count));
        Pc = BitConverter.ToUInt64(registers[(8 * ToySlots.Count)..]);
        StatusChanged();
        SelectMode();
        RequestAttention();
    }

    public override bool Load(ulong address, int size, out ulong value)
    {
        value = 0;
        if (!CheckBoth(address, size, MemoryAccess.Load))
            return false;
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        _system.Memory.Read(new Gpa(address - Base), bytes[..size]);
        value = BitConverter.ToUInt64(bytes);
        return true;
    }

    public override bool Store(ulong address, int size, ulong value)
    {
        if (!CheckBoth(address, size, MemoryAccess.Store))
            return false;
        Span<byte> bytes = stackalloc byte[8];
        BitConverter.TryWriteBytes(bytes, value);
        var memory = (byte*)_system.Memory.Find(new Gpa(address - Base))!.HostAddress;
        bytes[..size].CopyTo(new Span<byte>(memory + (address - Base), size));
        NoteStore(address - Base);
        NoteStore(address - Base + (ulong)size - 1);
        return true;
    }

    public override bool LoadReserved(ulong address, int size, out ulong value) => throw new NotSupportedException();

    public override bool StoreConditional(ulong address, int size, ulong value, out ulong failed) => throw new NotSupportedException();

    public override bool Atomic(AtomicOperation operation, ulong address, int size, ulong operand, out ulong old) => throw new NotSupportedException();

    public override bool UseFloat() => true;

    public override bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, ulong a, ulong b, ulong c, out ulong result)
    {
        uint flags = 0;
        if (mode == RoundingMode.Dynamic)
            mode = CurrentMode;
        result = (operation, format) switch
        {
            (FloatOperation.Convert, FloatFormat.Double) => SoftFloat<Binary64, ToyFloatRules>.FromFormat<Binary32>((uint)a, mode, ref flags),
            (FloatOperation.Convert, _) => SoftFloat<Binary32, ToyFloatRules>.FromFormat<Binary64>(a, mode, ref flags),
            _ => SoftFloat<Binary32, ToyFloatRules>.Compute(operation, mode, (uint)a, (uint)b, (uint)c, ref flags),
        };
        if ((flags & FloatFlags.Inexact) != 0)
            Status |= Inexact;
        return true;
    }

    protected override void Attached(ICpuEngine engine)
    {
        engine.CodeMappingChanged(0);
        engine.SpaceChanged(0);
        engine.DataMappingChanged();
    }

    protected override void VisitRegisters(StateVisitor visitor) => visitor.Fields("slots", new Span<ulong>(Slots, ToySlots.Count));

    protected override void ServeEvents() { }

    protected override void FlushTranslations() => _tlb.Flush();

    protected override void ForgetStoreTranslations() => _tlb.FlushStores();

    private bool CheckBoth(ulong address, int size, MemoryAccess access) =>
        TryTranslateData(address, 1, access, out _, out _) && TryTranslateData(address + (ulong)size - 1, 1, access, out _, out _);

    public static bool IsWritable(ulong physical) => physical is >= Open and < Closed;

    private void SelectMode()
    {
        Context->ReadTlb = _tlb.ReadTable(CodeMode);
        Context->WriteTlb = Context->ReadTlb + TlbEntry.Count;
        Engine?.DataMappingChanged();
    }

    private void StatusChanged()
    {
        uint modes = 1u << (int)RoundingMode.NearestEven | (CurrentMode == RoundingMode.NearestEven ? 1u << (int)RoundingMode.Dynamic : 0);
        Context->HostRounding = (Status & Inexact) == 0 ? 0 : modes;
    }

    private bool Trap(ulong cause)
    {
        _cause = cause;
        return false;
    }
}

internal sealed class ToySystem(PartitionContext context) : GuestSystem(context)
{
    public override GuestInstructions Instructions => ToyInstructions.Shared;

    public override int CodeModes => 2;

    public override int Spaces => 1;

    protected override GuestCpu CreateCpu(int id) => new ToyCpu(this, id);
}

internal sealed record ToyArchitecture : GuestArchitecture
{
    public override string Name => "toy";

    internal override string? SoftwareObjection => null;

    internal override GuestSystem CreateSystem(PartitionContext context) => System = new ToySystem(context);

    /// <summary>The system of the machine that was made last.</summary>
    public ToySystem? System { get; private set; }
}

/// <summary>The translator for the toy, whose registers the shipped one does not know.</summary>
internal sealed class ToyTranslator(TranslatorOptions options) : ExecutionEngine
{
    public override string Name => "translator";

    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        reason = architecture is ToyArchitecture ? null : "it only runs the toy.";
        return reason is null;
    }

    public override EnginePartition CreatePartition(PartitionContext context) => new TranslatorPartition(context.System, ToySlots.File, options);
}

/// <summary>As x86 has it: none of RISC-V's choices.</summary>
internal readonly struct ToyFloatRules : IFloatRules
{
    public static bool DefaultNaNIsNegative => true;

    public static bool PropagatesNaNs => true;

    public static bool NaNHidesInvalidProduct => true;

    public static bool IntegersSaturate => false;
}
