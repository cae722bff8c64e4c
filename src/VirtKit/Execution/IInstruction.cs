namespace VirtKit.Execution;

/// <summary>One instruction's meaning, in a struct that has no fields. Its encoding is its neighbour in the ISA's table.</summary>
/// <remarks>To be implemented explicitly. The C# compiler bridges a public implementation of a method that has an <see langword="in"/> parameter with one that is not
/// marked for inlining, and behind it the JIT compiler's inlining budget does not grow with what is marked: floating-point arithmetic in a handler ended in calls,
/// at three quarters of the speed.</remarks>
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
