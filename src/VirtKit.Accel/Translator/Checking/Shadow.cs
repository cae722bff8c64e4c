using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using VirtKit.Accel.Translator.Ir;
using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>Runs ahead of a translated block by the definitions, on a copy of the state and with stores held back, and compares afterwards.</summary>
internal sealed unsafe class Shadow(InstructionSet set, ShadowTable table)
{
    private readonly RiscVState[] _states = new RiscVState[IrBlock.MaxInstructions + 1];
    private readonly uint[] _words = new uint[IrBlock.MaxInstructions];
    private readonly List<(nint Place, byte Value, int Step)> _writes = [];
    private readonly Dictionary<nint, byte> _memory = [];
    private RiscVState _afterTrap;
    private int _steps;
    private bool _trapped;
    private bool _gaveUp;

    public static Shadow Of(Hart hart) => Unsafe.As<TranslatorCore>(GCHandle.FromIntPtr(((TranslatorContext*)hart.Context)->Core).Target!).Shadow!;

    /// <returns>Always <see langword="false"/>: what follows is not predicted.</returns>
    public static bool GiveUp(Hart hart)
    {
        Of(hart)._gaveUp = true;
        return false;
    }

    /// <summary>Runs from the hart's pc to the first jump, trap or instruction that cannot be run twice; the hart is afterwards as it was.</summary>
    public void Predict(Hart hart)
    {
        RiscVState before = hart.State;
        _steps = 0;
        _trapped = _gaveUp = false;
        _writes.Clear();
        _memory.Clear();
        bool goesOn = true;
        while (goesOn && _steps < IrBlock.MaxInstructions)
        {
            _states[_steps] = hart.State;
            goesOn = Step(hart);
        }

        _states[_steps] = _gaveUp || _trapped ? _states[_steps] : hart.State;
        hart.State = before;
        hart.StatusChanged();
    }

    /// <summary>Compares what became of the block with what was predicted.</summary>
    /// <param name="retired">How many instructions it retired.</param>
    /// <param name="code">The block's code, to be shown.</param>
    /// <returns>What differs, or <see langword="null"/>.</returns>
    public string? Difference(Hart hart, int retired, byte* code)
    {
        if (retired > _steps)
            return null;
        string? difference = StateDifference.Find(_states[retired], hart.State);
        if (difference is not null && _trapped && retired == _steps)
            difference = StateDifference.Find(_afterTrap, hart.State);
        // The instruction that was given up may have trapped, which changes more than it retires.
        if (difference is not null && _gaveUp && retired == _steps)
            return null;
        difference ??= MemoryDifference(retired);
        if (difference is null)
            return null;
        var text = new StringBuilder($"CrossCheck: the block at {new Gva(_states[0].Pc)} differs after {retired} instructions: {difference}. Guest code:");
        for (int i = 0; i < Math.Min(_steps + 1, _words.Length); i++)
            text.Append(CultureInfo.InvariantCulture, $" {_words[i]:x8}");
        return text.Append(". Host code: ").Append(Convert.ToHexStringLower(new ReadOnlySpan<byte>(code, 512))).Append('.').ToString();
    }

    /// <summary>The host's address of guest memory, where an access reaches memory of one page.</summary>
    /// <returns>Whether it does; if not, a trap is recorded or the prediction given up.</returns>
    public static bool TryReach(Hart hart, ulong address, int size, MemoryAccess access, out byte* place)
    {
        place = null;
        if ((address & 0xfff) + (ulong)size > 0x1000)
            return GiveUp(hart);
        if (hart.Mmu.TranslateData(address, size, access, out ulong physical, out MemoryRegion? region) is { } cause)
            return hart.Trap(cause, address);
        if (region is not { IsMemory: true } || (access == MemoryAccess.Store && !region.IsWritable))
            return GiveUp(hart);
        // SAFETY: the translation put the access inside the region.
        place = (byte*)region.HostAddress + (physical - region.Start.Value);
        return true;
    }

    public ulong Read(byte* place, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size; i++)
            value |= (ulong)_memory.GetValueOrDefault((nint)(place + i), place[i]) << (8 * i);
        return value;
    }

    public void Write(byte* place, int size, ulong value)
    {
        for (int i = 0; i < size; i++)
        {
            byte part = (byte)(value >> (8 * i));
            _memory[(nint)(place + i)] = part;
            _writes.Add(((nint)(place + i), part, _steps));
        }
    }

    private bool Step(Hart hart)
    {
        ulong pc = hart.State.Pc;
        if (!TryFetch(hart, pc, out uint half, out ulong next) || set.Decode(half) is not { } row || row.Encoding.Form == InstructionForm.System)
            return GiveUp(hart);
        _words[_steps] = half;
        Operands operands = row.Encoding.Decode(half);
        if (row.Encoding.WritesX && operands.Rd == 0)
            operands.Rd = (byte)HartContext.SinkRegister;
        if (!table.Run(row, hart, operands, ref next))
        {
            if (_gaveUp)
                return false;
            hart.TakeTrap();
            _afterTrap = hart.State;
            _trapped = true;
            return false;
        }

        hart.State.Pc = next;
        _steps++;
        return row.Encoding.Form is InstructionForm.Plain or InstructionForm.PcRelative or InstructionForm.Complex;
    }

    private static bool TryFetch(Hart hart, ulong pc, out uint word, out ulong next)
    {
        word = 0;
        next = pc + 2;
        if (hart.Mmu.TranslateCode(pc, out _, out byte* host, out _) is not null)
            return false;
        ushort low = *(ushort*)(host + (pc & 0xfff));
        if ((low & 3) != 3)
        {
            word = C.Expand(low);
            return true;
        }

        next = pc + 4;
        if (hart.Mmu.TranslateCode(pc + 2, out _, out host, out _) is not null)
            return false;
        word = (uint)*(ushort*)(host + (pc + 2 & 0xfff)) << 16 | low;
        return true;
    }

    private string? MemoryDifference(int retired)
    {
        _memory.Clear();
        foreach ((nint place, byte value, int step) in _writes)
        {
            if (step < retired)
                _memory[place] = value;
        }

        foreach ((nint place, byte value) in _memory)
        {
            if (*(byte*)place != value)
                return $"a byte of memory is {*(byte*)place:x2}, not {value:x2}";
        }

        return null;
    }
}
