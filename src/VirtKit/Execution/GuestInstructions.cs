using System.Collections.Concurrent;

namespace VirtKit.Execution;

/// <summary>The instructions that a machine's CPUs have: the decoder, which finds an instruction's row, and the engines' tables over the rows. Shared by all CPUs of a process with the
/// same instructions; any thread.</summary>
internal abstract class GuestInstructions
{
    /// <summary>As long as no instruction of any ISA is.</summary>
    public const int LongestLength = 16;

    private readonly ConcurrentDictionary<Type, object> _tables = [];

    /// <summary>More than the number of any row.</summary>
    public abstract int MaxRows { get; }

    /// <summary>The most bytes of an instruction, at most <see cref="LongestLength"/>.</summary>
    public abstract int MaxLength { get; }

    /// <summary>What the addresses of instructions are a multiple of.</summary>
    public abstract int Alignment { get; }

    /// <summary>Whether the ISA lets changed code show without a fence, so that stores to pages with decoded or translated code are watched (<see cref="WatchedCode"/>).</summary>
    public virtual bool ShowsChangesAtOnce => false;

    /// <summary>The registers of a CPU, each once.</summary>
    public abstract IReadOnlyList<GuestRegister> Registers { get; }

    /// <summary>How many bytes hold the registers of a CPU.</summary>
    public abstract int RegistersSize { get; }

    /// <summary>An instruction as text.</summary>
    /// <param name="code">Its bytes.</param>
    /// <param name="address">Where it stands.</param>
    public abstract string Disassemble(ReadOnlySpan<byte> code, Gva address);

    /// <summary>Decodes the first instruction of some code.</summary>
    /// <param name="code">At least one instruction, or the beginning of one.</param>
    /// <returns>Whether it is whole; of an instruction that does not exist, as much of it as it takes to know.</returns>
    public abstract bool TryDecode(ReadOnlySpan<byte> code, out DecodedInstruction instruction);

    /// <returns>A family's function for a row.</returns>
    public abstract nint Choose(int row, IInstructionFunctions functions);

    /// <summary>Reads and decodes the instruction at an address. Only of one that crosses into the next page is that page read.</summary>
    /// <returns>Whether all of it can be read.</returns>
    public bool TryRead(ICodeSource source, ulong address, out DecodedInstruction instruction)
    {
        Span<byte> code = stackalloc byte[LongestLength];
        return TryDecode(code[..Fetch(source, address, code[..MaxLength])], out instruction);
    }

    /// <summary>Reads the bytes of the instruction at an address, perhaps with some that follow it in its page.</summary>
    /// <param name="code">Takes <see cref="MaxLength"/> bytes.</param>
    /// <returns>How many could be read.</returns>
    public int Fetch(ICodeSource source, ulong address, Span<byte> code)
    {
        int count = 0;
        do
        {
            int more = source.Read(address + (ulong)count, code[count..]);
            if (more == 0)
                break;
            count += more;
        }
        while (count < code.Length && !TryDecode(code[..count], out _));
        return count;
    }

    /// <summary>An engine's table over these instructions, made when the first machine asks for it and shared by all. Any thread.</summary>
    /// <param name="create">Makes a table that threads may share.</param>
    /// <typeparam name="TKey">Which table it is: the type of the table itself, or of what sets it apart from others of its type.</typeparam>
    /// <typeparam name="T">The type of the table.</typeparam>
    public T Table<TKey, T>(Func<GuestInstructions, T> create) where T : class =>
        (T)(_tables.TryGetValue(typeof(TKey), out object? table) ? table : _tables.GetOrAdd(typeof(TKey), create(this)));
}

/// <summary>Where code is read from.</summary>
internal interface ICodeSource
{
    /// <summary>Fills bytes with the code at an address, or the first of them: those that can be read or not only together.</summary>
    /// <returns>How many; 0 where the address cannot be read.</returns>
    int Read(ulong address, Span<byte> bytes);
}

/// <summary>An instruction as decoded.</summary>
internal struct DecodedInstruction
{
    /// <summary>Of a form that names a place in code (<see cref="InstructionForm.Branch"/>, <see cref="InstructionForm.Jump"/>, <see cref="InstructionForm.PcRelative"/>) the
    /// immediate is relative to the instruction's own address.</summary>
    public Operands Operands;

    /// <summary>The number of the row; negative where there is no such instruction.</summary>
    public short Row;

    /// <summary>In bytes.</summary>
    public byte Length;

    public InstructionForm Form;

    public InstructionTraits Traits;

    /// <summary>Whether execution goes on behind the instruction, unless it traps.</summary>
    public readonly bool GoesOn => Form is InstructionForm.Plain or InstructionForm.PcRelative or InstructionForm.Complex;
}

/// <summary>What a translator has to know of an instruction before it records it.</summary>
[Flags]
internal enum InstructionTraits : byte
{
    None,

    /// <summary>Its result follows from its sources alone, which are different registers: recorded again it is the same.</summary>
    Pure = 1,

    /// <summary>Run a second time from the same state, it does something else.</summary>
    Unrepeatable = 2,

    /// <summary>Of a system instruction: the block goes on behind it, unless Attention is set or the mapping of code has changed.</summary>
    MayGoOn = 4,
}
