using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Reads guest code and records it as a block.</summary>
internal sealed class BlockReader(GuestInstructions set, RecorderTable recorders, IrBuilder builder)
{
    /// <summary>Whether instructions that cannot be run twice stand in blocks of their own.</summary>
    public bool IsolatesEffects { get; init; }

    /// <summary>Records from an address to the first jump, the end of what can be read, or the limit.</summary>
    /// <param name="oneOff">Whether every access has a TLB lookup of its own.</param>
    /// <returns>Whether there is at least one instruction.</returns>
    public bool Read(ulong pc, int limit, ICodeSource source, ExpressionSize expressions = ExpressionSize.AcrossInstructions, bool oneOff = false)
    {
        builder.Forwards = expressions == ExpressionSize.AcrossInstructions;
        builder.BeginBlock(pc);
        var recorder = new Recorder(builder);
        IrBlock block = builder.Block;
        bool goesOn = true;
        while (goesOn && block.InstructionCount < limit && set.TryRead(source, block.NextPc, out DecodedInstruction decoded))
        {
            if (IsolatesEffects && block.InstructionCount > 0 && (decoded.Traits & InstructionTraits.Unrepeatable) != 0)
                break;
            var instruction = new GuestInstruction { Pc = block.NextPc, Length = decoded.Length, Row = decoded.Row, Operands = decoded.Operands };
            builder.BeginInstruction(instruction, (decoded.Traits & InstructionTraits.Pure) != 0);
            if (decoded.Row < 0)
                builder.Give(out _);
            else
                recorders.Record(decoded.Row, ref recorder, decoded.Operands);
            goesOn = builder.EndInstruction(decoded.GoesOn, EndOf(decoded));
        }

        if (block.InstructionCount == 0)
            return false;
        DeadWrites.Run(block);
        block.IsOneOff = oneOff;
        if (!oneOff)
            AccessGroups.Run(block);
        return true;
    }

    private static BlockEnd EndOf(in DecodedInstruction instruction) => instruction.Form != InstructionForm.System ? BlockEnd.None
        : (instruction.Traits & InstructionTraits.MayGoOn) != 0 ? BlockEnd.Maybe
        : BlockEnd.Always;
}

internal enum ExpressionSize : byte
{
    OneInstruction,
    AcrossInstructions,
}
