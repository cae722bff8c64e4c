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

    /// <summary>How memory lies in the file; <see cref="SnapshotLayout.Packed"/>. The other one goes with neither <see cref="Compression"/> nor <see cref="Since"/>.</summary>
    public SnapshotLayout Layout { get; init; }
}

/// <summary>How memory lies in a snapshot's file.</summary>
public enum SnapshotLayout
{
    /// <summary>One piece behind the other: the smallest file.</summary>
    Packed,

    /// <summary>As in the machine, so that <see cref="MachineSnapshot.MapAsync"/> can map it. The file has the length of all memory, with holes, which take no room on the disk, where memory is zero;
    /// into a stream the zeroes are written.</summary>
    Mappable,
}

/// <summary>What <see cref="MachineSnapshot.MapAsync"/> compares with its checksum.</summary>
public enum SnapshotVerification
{
    /// <summary>All of the file.</summary>
    Whole,

    /// <summary>All but memory, which the host then reads where a guest uses it: for a file that nobody can have changed since it was saved. Damaged memory is not found out.</summary>
    StateOnly,
}
