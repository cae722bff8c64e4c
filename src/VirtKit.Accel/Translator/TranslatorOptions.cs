namespace VirtKit.Accel.Translator;

/// <summary>What a <see cref="TranslatorEngine"/> is made of.</summary>
public sealed record TranslatorOptions
{
    /// <summary>The least <see cref="CodeCacheSize"/>: 512 KiB.</summary>
    public const int MinCodeCacheSize = 512 << 10;

    /// <summary>The greatest <see cref="CodeCacheSize"/>: 1 GiB.</summary>
    public const int MaxCodeCacheSize = 1 << 30;

    /// <summary>Bytes of translated code that a machine keeps before all of it is dropped and made anew; 64 MiB by default. The host commits them as they are used;
    /// what is kept about the code and the pages that it comes from takes up to 2.3 times as much again; 0.6 times were measured.</summary>
    public int CodeCacheSize { get; init; } = 64 << 20;

    /// <summary>Compares the state and the memory after every block with what the interpreter's definitions make of the same instructions, and stops at the first
    /// difference with <see cref="ExitReason.InternalError"/>, whose detail has the difference, the states before the block, as expected and as translated, and the
    /// guest's and the host's code disassembled. Some hundred times slower, and only for machines whose vCPUs run on one thread. Instructions that cannot be done
    /// twice (devices, atomics, CSRs) are run unchecked. A guest that changes its code without a fence.i is reported too.</summary>
    public bool CrossCheck { get; init; }
}
