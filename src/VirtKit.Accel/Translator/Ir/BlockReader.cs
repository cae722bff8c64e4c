using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Reads guest code and records it as a block.</summary>
internal sealed class BlockReader(InstructionSet set, RecorderTable recorders, IrBuilder builder)
{
    /// <summary>The 16 bits of code at an address, or nothing where the block may not reach.</summary>
    public delegate ushort? FetchHalf(ulong address);

    /// <summary>Whether instructions that cannot be run twice stand in blocks of their own.</summary>
    public bool IsolatesEffects { get; init; }

    /// <summary>Records from an address to the first jump, the end of what can be fetched, or the limit.</summary>
    /// <param name="lone">Whether every access has its own look at the TLB.</param>
    /// <returns>Whether there is at least one instruction.</returns>
    public bool Read(ulong pc, int limit, FetchHalf fetch, ExpressionSize expressions = ExpressionSize.AcrossInstructions, bool lone = false)
    {
        builder.Forwards = expressions == ExpressionSize.AcrossInstructions;
        builder.BeginBlock(pc);
        var recorder = new Recorder(builder);
        IrBlock block = builder.Block;
        bool goesOn = true;
        while (goesOn && block.InstructionCount < limit && TryFetch(block.NextPc, fetch, out uint word, out int length))
        {
            InstructionSet.Row? row = set.Decode(word);
            if (IsolatesEffects && block.InstructionCount > 0
                && row is null or { Encoding: { Form: InstructionForm.System } or { Format: InstructionFormat.Atomic or InstructionFormat.Address } })
                break;
            var instruction = new GuestInstruction { Pc = block.NextPc, Length = (byte)length, Row = (short)(row?.Index ?? -1) };
            if (row is null)
            {
                builder.BeginInstruction(instruction, isPure: false);
                builder.Give(out _);
                goesOn = builder.EndInstruction(InstructionForm.System, BlockEnd.Always);
                continue;
            }

            Encoding encoding = row.Encoding;
            instruction.Operands = encoding.Decode(word);
            if (encoding.WritesX && instruction.Operands.Rd == 0)
                instruction.Operands.Rd = (byte)HartContext.SinkRegister;
            builder.BeginInstruction(instruction, IsPure(encoding.Format, instruction.Operands));
            recorders.Record(row.Index, ref recorder, instruction.Operands);
            goesOn = builder.EndInstruction(encoding.Form, EndOf(encoding));
        }

        if (block.InstructionCount == 0)
            return false;
        DeadWrites.Run(block);
        block.IsLone = lone;
        if (!lone)
            AccessGroups.Run(block);
        return true;
    }

    private static bool TryFetch(ulong pc, FetchHalf fetch, out uint word, out int length)
    {
        word = 0;
        length = 2;
        if (fetch(pc) is not { } low)
            return false;
        if ((low & 3) != 3)
        {
            word = C.Expand(low);
            return true;
        }

        length = 4;
        if (fetch(pc + 2) is not { } high)
            return false;
        word = (uint)high << 16 | low;
        return true;
    }

    private static BlockEnd EndOf(in Encoding encoding) => encoding.Form != InstructionForm.System ? BlockEnd.None
        : encoding.Format is InstructionFormat.Csr or InstructionFormat.CsrImmediate ? BlockEnd.Maybe
        : BlockEnd.Always;

    private static bool IsPure(InstructionFormat format, in Operands o) =>
        format is InstructionFormat.I or InstructionFormat.Shift or InstructionFormat.Unary || (format == InstructionFormat.R && o.Rs1 != o.Rs2);
}

internal enum ExpressionSize : byte
{
    OneInstruction,
    AcrossInstructions,
}
