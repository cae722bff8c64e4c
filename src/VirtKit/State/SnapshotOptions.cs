using System.IO.Compression;

namespace VirtKit.State;

/// <summary>How a snapshot is written to a file.</summary>
public sealed record SnapshotOptions
{
    /// <summary>How memory is compressed (Brotli); <see langword="null"/>, the default, leaves it as it is, which is faster where the disk is.</summary>
    public CompressionLevel? Compression { get; init; }
}
