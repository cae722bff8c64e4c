using VirtKit.Accel.Translator.Guests;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>The code that every block shares: the way in from .NET, the ways out, and the call of an instruction's shared function.</summary>
internal sealed unsafe class Amd64Stubs
{
    private readonly Amd64Assembler _asm;
    private readonly HostConvention _host;
    private readonly RegisterHomes _homes;

    public Amd64Stubs(Amd64Assembler assembler, HostConvention host, RegisterHomes homes)
    {
        _homes = homes;
        _asm = assembler;
        _host = host;
        Enter = EmitEnter();
        byte* abandon = EmitLeave(out byte* leave);
        Unlinked = EmitExit(ExitKind.Unlinked, leave);
        Unlinkable = EmitExit(ExitKind.Unlinkable, leave);
        OutOfBudget = EmitExit(ExitKind.Budget, leave);
        Computed = _asm.Cursor;
        _asm.Store(GuestRegisters.Field(ContextLayout.Pc), Gp.Rax);
        _asm.StoreImmediate(GuestRegisters.Field(ContextLayout.ExitKind), (int)ExitKind.Stopped, 4);
        Amd64Assembler.Bind(_asm.Jump(), leave);
        Slow = EmitSlow(abandon);
    }

    /// <summary>What the guest's registers are.</summary>
    public GuestRegisterFile Guest => _homes.Guest;

    /// <summary>A function (context, code) that runs translated code until it leaves.</summary>
    public byte* Enter { get; }

    /// <summary>Leaves through the exit in eax, which may be linked.</summary>
    public byte* Unlinked { get; }

    /// <summary>Leaves through the exit in eax.</summary>
    public byte* Unlinkable { get; }

    /// <summary>Leaves before the block whose pc is that of the exit in eax.</summary>
    public byte* OutOfBudget { get; }

    /// <summary>Leaves for the pc in rax.</summary>
    public byte* Computed { get; }

    /// <summary>Called with a site in eax; returns where the block goes on behind the instruction.</summary>
    public byte* Slow { get; }

    private byte* EmitEnter()
    {
        byte* start = _asm.Cursor;
        foreach (Gp register in _host.Saved)
            _asm.Push(register);
        _asm.Alu(Alu.Sub, Gp.Rsp, _host.FrameSize);
        for (int i = _host.FirstSavedVector; i < 16; i++)
            _asm.StoreVector(SavedVector(i), (Xmm)i);
        _asm.Lea(Gp.Rbp, new Mem(_host.First, GuestRegisters.ContextBias - ContextLayout.Context));
        _asm.Move(Gp.Rax, _host.Second);
        _asm.Load(GuestRegisters.Budget, GuestRegisters.Field(ContextLayout.Budget));
        Fill();
        _asm.Jump(Gp.Rax);
        return start;
    }

    /// <returns>The way out that leaves the context as it is.</returns>
    private byte* EmitLeave(out byte* leave)
    {
        leave = _asm.Cursor;
        Spill();
        byte* abandon = _asm.Cursor;
        for (int i = _host.FirstSavedVector; i < 16; i++)
            _asm.LoadVector((Xmm)i, SavedVector(i));
        _asm.Alu(Alu.Add, Gp.Rsp, _host.FrameSize);
        for (int i = _host.Saved.Length - 1; i >= 0; i--)
            _asm.Pop(_host.Saved[i]);
        _asm.Return();
        return abandon;
    }

    private byte* EmitExit(ExitKind kind, byte* leave)
    {
        byte* start = _asm.Cursor;
        _asm.Store(GuestRegisters.Field(ContextLayout.Exit), Gp.Rax, Size.Bits32);
        _asm.StoreImmediate(GuestRegisters.Field(ContextLayout.ExitKind), (int)kind, 4);
        Amd64Assembler.Bind(_asm.Jump(), leave);
        return start;
    }

    private byte* EmitSlow(byte* abandon)
    {
        byte* start = _asm.Cursor;
        int frame = 8 + _host.ShadowSpace;
        Spill();
        // The site first: on some hosts an argument register is a scratch register too.
        _asm.Move(_host.Second, Gp.Rax, Size.Bits32);
        _asm.Lea(_host.First, GuestRegisters.Field(ContextLayout.Context));
        _asm.Alu(Alu.Sub, Gp.Rsp, frame);
        _asm.Call(GuestRegisters.Field(ContextLayout.Fallback));
        _asm.Alu(Alu.Add, Gp.Rsp, frame);
        _asm.Test(Gp.Rax, Gp.Rax, Size.Bits32);
        byte* leaves = _asm.JumpIf(Condition.NotEqual);
        Fill();
        _asm.Return();
        _asm.Bind(leaves);
        _asm.Alu(Alu.Add, Gp.Rsp, 8);
        Amd64Assembler.Bind(_asm.Jump(), abandon);
        return start;
    }

    private Mem SavedVector(int register) => new(Gp.Rsp, _host.ShadowSpace + 16 * (register - _host.FirstSavedVector));

    private void Spill()
    {
        foreach ((int guest, Gp host) in _homes.Pinned)
            _asm.Store(GuestRegisters.Slot(guest), host);
        _asm.Store(GuestRegisters.Field(ContextLayout.Budget), GuestRegisters.Budget);
        byte* skip = SkipUnlessFloat();
        foreach ((int guest, Xmm host) in _homes.PinnedVectors)
            _asm.StoreDouble(GuestRegisters.Slot(guest), host);
        // The host's sticky flag is the guest's, for whatever else raises it has been undone or is done again.
        _asm.StoreControl(GuestRegisters.Field(ContextLayout.Control));
        _asm.Test(GuestRegisters.Field(ContextLayout.Control), 0x20);
        byte* exact = _asm.JumpShort(Condition.Equal);
        _asm.Alu(Alu.Or, GuestRegisters.Field(_homes.Guest.FloatStatus), (int)_homes.Guest.Inexact, Size.Bits32);
        _asm.BindShort(exact);
        _asm.Bind(skip);
    }

    private void Fill()
    {
        foreach ((int guest, Gp host) in _homes.Pinned)
            _asm.Load(host, GuestRegisters.Slot(guest));
        byte* skip = SkipUnlessFloat();
        foreach ((int guest, Xmm host) in _homes.PinnedVectors)
            _asm.LoadDouble(host, GuestRegisters.Slot(guest));
        _asm.LoadControl(GuestRegisters.Field(ContextLayout.ControlAtEntry));
        _asm.Bind(skip);
    }

    /// <summary>Vector registers are only in use while the guest may change its floating-point registers.</summary>
    private byte* SkipUnlessFloat()
    {
        _asm.Alu(Alu.Cmp, GuestRegisters.Field(ContextLayout.FloatReady), 0, Size.Bits32);
        return _asm.JumpIf(Condition.Equal);
    }
}
