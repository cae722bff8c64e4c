namespace VirtKit.Devices.Storage;

/// <summary>The check of a range that a caller names.</summary>
internal static class BlockRange
{
    /// <summary>Refuses a range that does not lie inside the disk.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset or the length is negative, or the range ends past the disk.</exception>
    public static void ThrowIfOutside(long offset, long length, long disk)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        // The difference cannot overflow, as a sum could.
        if (offset > disk || length > disk - offset)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{length} bytes from {offset} do not lie inside the disk's {disk}.");
    }

    /// <summary>As <see cref="ThrowIfOutside"/>, for a change.</summary>
    /// <exception cref="InvalidOperationException">The disk only reads.</exception>
    public static void ThrowIfNotWritable(IBlockBackend disk, long offset, long length)
    {
        if (disk.IsReadOnly)
            throw new InvalidOperationException("The disk is read-only.");
        ThrowIfOutside(offset, length, disk.Length);
    }

    /// <summary>Refuses an access that is not one.</summary>
    public static void ThrowIfUndefined(BlockAccess access)
    {
        if (!Enum.IsDefined(access))
            throw new ArgumentOutOfRangeException(nameof(access), access, "Unknown access.");
    }
}
