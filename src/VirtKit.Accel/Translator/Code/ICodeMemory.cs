namespace VirtKit.Accel.Translator.Code;

/// <summary>Memory for code, seen twice: through one view it is written, through the other it is executed, and neither may do both (W^X).</summary>
internal unsafe interface ICodeMemory : IDisposable
{
    /// <summary>The view for writing.</summary>
    byte* Writable { get; }

    /// <summary>The view for executing: the same bytes.</summary>
    byte* Executable { get; }

    /// <summary>Length in bytes.</summary>
    int Length { get; }
}
