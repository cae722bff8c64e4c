using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>x86-64 with AVX2, BMI2 and FMA: the stubs at the beginning of code memory, and blocks behind them.</summary>
internal sealed unsafe class Amd64Code : IHostCode
{
    private readonly ICodeMemory _memory;
    private readonly Amd64Assembler _assembler = new();
    private readonly Amd64Stubs _stubs;
    private readonly Amd64Emitter _emitter;

    public Amd64Code(ICodeMemory memory, HostConvention convention, GuestRegisterFile guest, IrBlock block, CodeRecords records, bool keepsLoops)
    {
        _memory = memory;
        _assembler.Cursor = memory.Writable;
        var homes = new RegisterHomes(guest);
        _stubs = new Amd64Stubs(_assembler, convention, homes);
        _emitter = new Amd64Emitter(_assembler, _stubs, homes, block, records) { KeepsLoops = keepsLoops };
    }

    public int MaxBlockSize => Amd64Emitter.MaxBlockSize;

    public byte* Cursor
    {
        get => _assembler.Cursor;
        set => _assembler.Cursor = value;
    }

    public byte* Enter => _stubs.Enter;

    public bool Supports(in IrOp op) => _emitter.Supports(op);

    public bool TryEmit(out byte* start)
    {
        byte* before = Cursor;
        start = Cursor = (byte*)((nint)(before + 15) & ~15);
        if (_emitter.TryEmit())
            return true;
        Cursor = before;
        return false;
    }

    public void Link(in ExitRecord exit, byte* target)
    {
        if (exit.Patch == null)
            return;
        long distance = target - (_memory.Executable + (exit.Patch - _memory.Writable) + 4);
        // Another memory's code may be out of a jump's reach.
        if (distance == (int)distance)
            Volatile.Write(ref *(int*)exit.Patch, (int)distance);
    }

    public void DisableProbe(in PageProbe probe)
    {
        Volatile.Write(ref *(int*)probe.Compared, GuestRegisters.Displacement(ContextLayout.RecentNever));
        Volatile.Write(ref *(int*)probe.Jump, (int)(probe.Lookup - (probe.Jump + 4)));
    }

    public string Disassemble(int start, int length) => HostDisassembler.Disassemble(_memory.Writable, start, length, _stubs);
}
