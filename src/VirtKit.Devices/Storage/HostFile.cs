using Microsoft.Win32.SafeHandles;

namespace VirtKit.Devices.Storage;

/// <summary>Whole reads and writes of the host's files, whose every failure is an <see cref="IOException"/>.</summary>
internal static class HostFile
{
    /// <summary>Fills a span.</summary>
    /// <exception cref="IOException">The host failed, or the file ends before.</exception>
    public static void Read(SafeFileHandle file, long offset, Span<byte> destination)
    {
        try
        {
            while (!destination.IsEmpty)
            {
                int count = RandomAccess.Read(file, destination, offset);
                if (count <= 0)
                    throw new EndOfStreamException($"The file ends at {offset}: somebody has made it shorter.");
                destination = destination[count..];
                offset += count;
            }
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Writes a span whole.</summary>
    /// <exception cref="IOException">The host failed, or has withdrawn the right to write (a seal, a medium that became read-only).</exception>
    public static void Write(SafeFileHandle file, long offset, ReadOnlySpan<byte> source)
    {
        try
        {
            RandomAccess.Write(file, source, offset);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }
}
