using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>A file in LZ4's legacy frame format, which Linux compresses kernels with: a magic number, then blocks of at most 8 MiB, each behind its compressed size
/// (LZ4 Frame Format 1.6.2 "Legacy frame", LZ4 Block Format).</summary>
internal static class Lz4LegacyFile
{
    private const uint Magic = 0x184c_2102;
    private const int BlockSize = 8 << 20, ShortestMatch = 4;

    public static bool IsLz4Legacy(ReadOnlySpan<byte> file) => file.Length >= 4 && BinaryPrimitives.ReadUInt32LittleEndian(file) == Magic;

    /// <summary>Decompresses the whole file.</summary>
    /// <param name="file">The file, which ends with its last block.</param>
    /// <param name="what">What the messages call it.</param>
    /// <param name="limit">The most bytes that it may hold.</param>
    /// <exception cref="InvalidImageException">It is damaged, truncated or too long.</exception>
    public static byte[] Decompress(ReadOnlySpan<byte> file, string what, int limit)
    {
        var output = new Output(what, limit, file.Length);
        for (ReadOnlySpan<byte> rest = file[4..]; !rest.IsEmpty;)
        {
            if (rest.Length < 4)
                throw output.Damaged();
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            // Concatenated files repeat the magic number in the place of a size.
            rest = rest[4..];
            if (size == Magic)
                continue;
            if (size > (uint)rest.Length)
                throw output.Damaged();
            DecompressBlock(rest[..(int)size], ref output);
            rest = rest[(int)size..];
        }

        return output.ToArray();
    }

    private static void DecompressBlock(ReadOnlySpan<byte> block, ref Output output)
    {
        int blockStart = output.Length, at = 0;
        while (at < block.Length)
        {
            int token = block[at++];
            int literals = Length(block, ref at, token >> 4, ref output);
            if (literals > block.Length - at)
                throw output.Damaged();
            output.Append(block.Slice(at, literals));
            at += literals;
            // The last sequence has no match.
            if (at == block.Length)
                break;
            if (block.Length - at < 2)
                throw output.Damaged();
            int distance = BinaryPrimitives.ReadUInt16LittleEndian(block[at..]);
            at += 2;
            int length = Length(block, ref at, token & 15, ref output) + ShortestMatch;
            if (distance == 0 || distance > output.Length - blockStart || length > BlockSize - (output.Length - blockStart))
                throw output.Damaged();
            output.Repeat(distance, length);
        }
    }

    private static int Length(ReadOnlySpan<byte> block, ref int at, int nibble, ref Output output)
    {
        int length = nibble;
        for (int more = nibble == 15 ? 255 : 0; more == 255;)
        {
            if (at == block.Length || length > BlockSize)
                throw output.Damaged();
            more = block[at++];
            length += more;
        }

        return length;
    }

    private ref struct Output(string what, int limit, int capacity)
    {
        private byte[] _bytes = new byte[Math.Max(capacity, 64)];

        public int Length { get; private set; }

        public void Append(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(Claim(bytes.Length));
        }

        public void Repeat(int distance, int length)
        {
            int from = Length - distance;
            Span<byte> target = Claim(length);
            // Source and target overlap where the distance is shorter: that repeats a pattern.
            if (distance >= length)
            {
                _bytes.AsSpan(from, length).CopyTo(target);
                return;
            }

            for (int i = 0; i < length; i++)
                target[i] = _bytes[from + i];
        }

        public readonly byte[] ToArray() => _bytes[..Length];

        public readonly InvalidImageException Damaged() => new($"{what} is damaged.");

        private Span<byte> Claim(int count)
        {
            if (count > limit - Length)
                throw new InvalidImageException($"{what} holds more than {limit} bytes.");
            if (count > _bytes.Length - Length)
                Array.Resize(ref _bytes, (int)Math.Min(Math.Max((long)_bytes.Length * 2, (long)Length + count), limit));
            Length += count;
            return _bytes.AsSpan(Length - count, count);
        }
    }
}
