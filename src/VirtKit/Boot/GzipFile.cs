using System.Buffers.Binary;
using System.IO.Compression;

namespace VirtKit.Boot;

/// <summary>A gzip file (RFC 1952) of one member, as kernels are compressed.</summary>
internal static class GzipFile
{
    private const int SmallestFile = 18, FirstCapacity = 64;

    public static bool IsGzip(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]);

    /// <summary>Decompresses the whole file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="what">What the messages call it.</param>
    /// <param name="limit">The most bytes that it may hold.</param>
    /// <exception cref="InvalidImageException">It is damaged, truncated or too long.</exception>
    public static byte[] Decompress(ReadOnlyMemory<byte> file, string what, int limit)
    {
        using var source = new MemoryStream(file.ToArray(), writable: false);
        using var gzip = new GZipStream(source, CompressionMode.Decompress);
        byte[] content = new byte[Math.Max(file.Length, FirstCapacity)];
        int length = 0;
        try
        {
            while (true)
            {
                int read = gzip.Read(content, length, content.Length - length);
                if (read == 0)
                    break;
                length += read;
                if (length == content.Length)
                {
                    if (length >= limit)
                        throw new InvalidImageException($"{what} holds more than {limit} bytes.");
                    Array.Resize(ref content, (int)Math.Min(length * 2L, limit));
                }
            }
        }
        catch (InvalidDataException e)
        {
            throw new InvalidImageException($"{what} is damaged.", e);
        }

        // The stream ends quietly where the file was cut; the trailer's size (RFC 1952 §2.3.1) tells.
        if (file.Length < SmallestFile || BinaryPrimitives.ReadUInt32LittleEndian(file.Span[^4..]) != (uint)length)
            throw new InvalidImageException($"{what} is truncated.");
        return content[..length];
    }
}
