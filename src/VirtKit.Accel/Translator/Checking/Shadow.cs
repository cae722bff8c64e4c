using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>Runs ahead of a translated block by the definitions, on a copy of the state and with stores held back, and compares afterwards.</summary>
internal sealed unsafe class Shadow(InstructionSet set, ShadowTable table, DifferenceReport report)
{
    private readonly RiscVState[] _states = new RiscVState[IrBlock.MaxInstructions + 1];
    private readonly List<(ulong Pc, uint Word)> _words = [];
    private readonly List<(nint Place, byte Value, int Step)> _writes = [];
    private readonly Dictionary<nint, byte> _memory = [];
    private RiscVState _afterTrap;
    private int _steps;
    private bool _trapped;
    private bool _gaveUp;

    public static Shadow Of(GuestCpu cpu) => Unsafe.As<TranslatorCore>(GCHandle.FromIntPtr(TranslatorContext.Of(cpu)->Core).Target!).Shadow!;

    /// <returns>Always <see langword="false"/>: what follows is not predicted.</returns>
    public static bool GiveUp(GuestCpu cpu)
    {
        Of(cpu)._gaveUp = true;
        return false;
    }

    /// <summary>Runs from the hart's pc to the first jump, trap or instruction that cannot be run twice; the hart is afterwards as it was.</summary>
    public void Predict(Hart hart)
    {
        RiscVState before = StateOf(hart);
        _steps = 0;
        _trapped = _gaveUp = false;
        _words.Clear();
        _writes.Clear();
        _memory.Clear();
        bool goesOn = true;
        while (goesOn && _steps < IrBlock.MaxInstructions)
        {
            _states[_steps] = StateOf(hart);
            goesOn = Step(hart);
        }

        _states[_steps] = _gaveUp || _trapped ? _states[_steps] : StateOf(hart);
        hart.State = before;
        hart.Pc = before.Pc;
        hart.StatusChanged();
    }

    /// <summary>Compares what became of the block with what was predicted.</summary>
    /// <param name="retired">How many instructions it retired.</param>
    /// <param name="code">The block's code, to be shown.</param>
    /// <returns>The report, or <see langword="null"/> where nothing differs.</returns>
    public string? Difference(Hart hart, int retired, byte* code)
    {
        if (retired > _steps)
            return null;
        RiscVState actual = StateOf(hart);
        ref readonly RiscVState expected = ref _states[retired];
        string? difference = StateDifference.Find(expected, actual);
        if (difference is not null && _trapped && retired == _steps)
        {
            expected = ref _afterTrap;
            difference = StateDifference.Find(expected, actual);
        }

        // The instruction that was given up may have trapped, which changes more than it retires.
        if (difference is not null && _gaveUp && retired == _steps)
            return null;
        if (MemoryDifference(retired) is { } memory)
            difference = difference is null ? memory : $"{difference}; {memory}";
        return difference is null ? null : report.Write(difference, retired, _states[0], expected, actual, CollectionsMarshal.AsSpan(_words), code);
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
        ulong pc = hart.Pc;
        if (!set.TryRead(hart, pc, out DecodedInstruction instruction))
            return GiveUp(hart);
        Span<byte> code = stackalloc byte[4];
        code.Clear();
        set.Fetch(hart, pc, code);
        uint word = BinaryPrimitives.ReadUInt32LittleEndian(code);
        _words.Add((pc, instruction.Length == 2 ? (ushort)word : word));
        if (instruction.Form == InstructionForm.System)
            return GiveUp(hart);
        ulong next = pc + instruction.Length;
        if (!table.Run(instruction, hart, ref next))
        {
            if (_gaveUp)
                return false;
            hart.TakeTrap();
            _afterTrap = StateOf(hart);
            _trapped = true;
            return false;
        }

        hart.Pc = next;
        _steps++;
        return instruction.GoesOn;
    }

    private static RiscVState StateOf(Hart hart)
    {
        RiscVState state = hart.State;
        state.Pc = hart.Pc;
        return state;
    }

    private string? MemoryDifference(int retired)
    {
        // What is stored to twice has to hold the last.
        for (int i = _writes.Count - 1; i >= 0; i--)
        {
            (nint place, byte value, int step) = _writes[i];
            byte actual = *(byte*)place;
            if (step < retired && _memory.Remove(place) && actual != value)
                return $"a byte that the store at {new Gva(_states[step].Pc)} wrote is {actual:x2}, not {value:x2}";
        }

        return null;
    }
}
