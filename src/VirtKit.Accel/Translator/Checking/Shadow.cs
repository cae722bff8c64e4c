using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>Runs ahead of a translated block by the definitions, on a copy of the state and with stores held back, and compares afterwards.</summary>
internal sealed unsafe class Shadow(GuestInstructions set, ShadowTable table, DifferenceReport report)
{
    private readonly int _size = set.RegistersSize;

    /// <summary>The registers in front of each instruction, and behind the last.</summary>
    private readonly byte[] _states = new byte[(IrBlock.MaxInstructions + 1) * set.RegistersSize];
    private readonly byte[] _actual = new byte[set.RegistersSize], _afterTrap = new byte[set.RegistersSize];
    private readonly ulong[] _addresses = new ulong[IrBlock.MaxInstructions];
    private readonly List<(ulong Pc, byte[] Code)> _code = [];
    private readonly List<(nint Address, byte Value, int Step)> _writes = [];
    private readonly Dictionary<nint, byte> _memory = [];
    private int _steps;
    private bool _trapped;
    private bool _gaveUp;

    public static Shadow Of(GuestCpu cpu) => Unsafe.As<TranslatorCore>(GCHandle.FromIntPtr(TranslatorContext.Of(cpu.Context)->Core).Target!).Shadow!;

    /// <returns>Always <see langword="false"/>: what follows is not predicted.</returns>
    public static bool GiveUp(GuestCpu cpu)
    {
        Of(cpu)._gaveUp = true;
        return false;
    }

    /// <summary>Runs from the CPU's pc to the first jump, trap or instruction that cannot be run twice; the CPU is afterwards as it was.</summary>
    public void Predict(GuestCpu cpu)
    {
        _steps = 0;
        _trapped = _gaveUp = false;
        _code.Clear();
        _writes.Clear();
        _memory.Clear();
        bool goesOn = true;
        while (goesOn && _steps < IrBlock.MaxInstructions)
        {
            cpu.GetRegisters(StateAt(_steps));
            goesOn = Step(cpu);
        }

        if (!_gaveUp && !_trapped)
            cpu.GetRegisters(StateAt(_steps));
        cpu.PutRegisters(StateAt(0));
    }

    /// <summary>Compares what became of the block with what was predicted.</summary>
    /// <param name="retired">How many instructions it retired.</param>
    /// <param name="code">The block's code, to be shown.</param>
    /// <returns>The report, or <see langword="null"/> where nothing differs.</returns>
    public string? Difference(GuestCpu cpu, int retired, byte* code)
    {
        if (retired > _steps)
            return null;
        cpu.GetRegisters(_actual);
        ReadOnlySpan<byte> expected = StateAt(retired);
        string? difference = StateDifference.Find(set.Registers, expected, _actual);
        if (difference is not null && _trapped && retired == _steps)
        {
            expected = _afterTrap;
            difference = StateDifference.Find(set.Registers, expected, _actual);
        }

        // The instruction that was given up may have trapped, which changes more than it retires.
        if (difference is not null && _gaveUp && retired == _steps)
            return null;
        if (MemoryDifference(retired) is { } memory)
            difference = difference is null ? memory : $"{difference}; {memory}";
        return difference is null ? null : report.Write(difference, retired, new Gva(_code[0].Pc), StateAt(0), expected, _actual, _code, code);
    }

    /// <summary>The host's address of guest memory, where an access reaches memory of one page.</summary>
    /// <returns>Whether it does; if not, a trap is recorded or the prediction given up.</returns>
    public static bool TryReach(GuestCpu cpu, ulong address, int size, MemoryAccess access, out byte* pointer)
    {
        pointer = null;
        if ((address & 0xfff) + (ulong)size > 0x1000)
            return GiveUp(cpu);
        if (!cpu.TryTranslateData(address, size, access, out ulong physical, out MemoryRegion? region))
            return false;
        if (region is not { IsMemory: true } || (access == MemoryAccess.Store && !region.IsWritable))
            return GiveUp(cpu);
        // SAFETY: the translation put the access inside the region.
        pointer = (byte*)region.HostAddress + (physical - region.Start.Value);
        return true;
    }

    public ulong Read(byte* pointer, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size; i++)
            value |= (ulong)_memory.GetValueOrDefault((nint)(pointer + i), pointer[i]) << (8 * i);
        return value;
    }

    public void Write(byte* pointer, int size, ulong value)
    {
        for (int i = 0; i < size; i++)
        {
            byte part = (byte)(value >> (8 * i));
            _memory[(nint)(pointer + i)] = part;
            _writes.Add(((nint)(pointer + i), part, _steps));
        }
    }

    private bool Step(GuestCpu cpu)
    {
        ulong pc = cpu.Pc;
        Span<byte> code = stackalloc byte[GuestInstructions.LongestLength];
        code = code[..set.Fetch(cpu, pc, code[..set.MaxLength])];
        if (!set.TryDecode(code, out DecodedInstruction instruction))
            return GiveUp(cpu);
        _addresses[_steps] = pc;
        _code.Add((pc, code[..instruction.Length].ToArray()));
        if (instruction.Form == InstructionForm.System)
            return GiveUp(cpu);
        ulong next = pc + instruction.Length;
        if (!table.Run(instruction, cpu, ref next))
        {
            if (_gaveUp)
                return false;
            cpu.TakeTrap();
            cpu.GetRegisters(_afterTrap);
            _trapped = true;
            return false;
        }

        cpu.Pc = next;
        _steps++;
        return instruction.GoesOn;
    }

    private Span<byte> StateAt(int step) => _states.AsSpan(step * _size, _size);

    private string? MemoryDifference(int retired)
    {
        // What is stored to twice has to hold the last.
        for (int i = _writes.Count - 1; i >= 0; i--)
        {
            (nint pointer, byte value, int step) = _writes[i];
            byte actual = *(byte*)pointer;
            if (step < retired && _memory.Remove(pointer) && actual != value)
                return $"a byte that the store at {new Gva(_addresses[step])} wrote is {actual:x2}, not {value:x2}";
        }

        return null;
    }
}
