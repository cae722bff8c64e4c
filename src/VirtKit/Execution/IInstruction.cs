namespace VirtKit.Execution;

/// <summary>One instruction's meaning, in a struct that has no fields. Its encoding is its neighbour there.</summary>
internal interface IInstruction
{
    /// <summary>The meaning, in the primitives of a backend.</summary>
    /// <returns>Whether the instruction completed. An interpreting backend has recorded a trap otherwise, or asks for its slow path, and nothing has been
    /// changed: a definition writes registers only after the last primitive that returns a <see cref="bool"/>. A recording backend always says yes.</returns>
    static abstract bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct;
}

/// <summary>A family of functions, one for each instruction, that are made of the instructions' definitions.</summary>
internal interface IInstructionFunctions
{
    /// <param name="form">The instruction's.</param>
    /// <returns>The pointer to the function for an instruction.</returns>
    nint Of<T>(InstructionForm form) where T : struct, IInstruction;
}
