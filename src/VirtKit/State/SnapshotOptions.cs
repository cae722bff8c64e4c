using System.IO.Compression;

namespace VirtKit.State;

/// <summary>How a snapshot is written to a file.</summary>
public sealed record SnapshotOptions
{
    /// <summary>How memory is compressed (Brotli); <see langword="null"/>, the default, leaves it as it is, which is faster where the disk is.</summary>
    public CompressionLevel? Compression { get; init; }

    /// <summary>The snapshot that whoever loads the file has as well: only memory that differs from it is written. It is of a machine composed alike, captured before or after.
    /// <see langword="null"/>, the default, writes all that is not zero.</summary>
    public MachineSnapshot? Since { get; init; }
}
