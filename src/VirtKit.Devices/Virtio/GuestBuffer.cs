namespace VirtKit.Devices.Virtio;

/// <summary>Scattered guest memory as one sequence of bytes: an enumeration of spans over the guest's own bytes, no copy.</summary>
/// <remarks>A view of the chain that its queue peeked last: valid until that is completed or the queue is peeked again.</remarks>
public readonly ref struct GuestBuffer
{
    private readonly AddressSpace _memory;
    private readonly ReadOnlySpan<GuestSegment> _segments;
    private readonly long _start;

    internal GuestBuffer(AddressSpace memory, ReadOnlySpan<GuestSegment> segments, long start, long length)
    {
        _memory = memory;
        _segments = segments;
        _start = start;
        Length = length;
    }

    /// <summary>The length in bytes, 0 to <see cref="Virtqueue.MaximumChainBytes"/>.</summary>
    public long Length { get; }

    /// <summary>A part of the buffer.</summary>
    /// <param name="start">Where it starts, 0 to <see cref="Length"/>.</param>
    /// <param name="length">Its length in bytes; with the start, not past the end.</param>
    /// <exception cref="ArgumentOutOfRangeException">The part does not lie inside the buffer.</exception>
    public GuestBuffer Slice(long start, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length - start);
        return new GuestBuffer(_memory, _segments, _start + start, length);
    }

    /// <summary>The rest of the buffer from <paramref name="start"/> on.</summary>
    /// <inheritdoc cref="Slice(long, long)"/>
    public GuestBuffer Slice(long start) => Slice(start, Length - start);

    /// <summary>Copies bytes out of guest memory, as many as both sides have.</summary>
    /// <returns>How many bytes were copied.</returns>
    public int CopyTo(Span<byte> destination)
    {
        int copied = 0;
        foreach (Span<byte> span in this)
        {
            int count = Math.Min(span.Length, destination.Length - copied);
            span[..count].CopyTo(destination[copied..]);
            copied += count;
            if (copied == destination.Length)
                break;
        }

        return copied;
    }

    /// <summary>Copies bytes into guest memory, as many as both sides have.</summary>
    /// <returns>How many bytes were copied.</returns>
    public int CopyFrom(ReadOnlySpan<byte> source)
    {
        int copied = 0;
        foreach (Span<byte> span in this)
        {
            int count = Math.Min(span.Length, source.Length - copied);
            source.Slice(copied, count).CopyTo(span);
            copied += count;
            if (copied == source.Length)
                break;
        }

        return copied;
    }

    /// <summary>Enumerates the parts in order, each as a span over guest memory; none is empty.</summary>
    public Enumerator GetEnumerator() => new(_memory, _segments, _start, Length);

    /// <summary>Walks the parts of a <see cref="GuestBuffer"/>.</summary>
    public ref struct Enumerator
    {
        private readonly AddressSpace _memory;
        private ReadOnlySpan<GuestSegment> _segments;
        private Span<byte> _current;
        private long _skip;
        private long _left;

        internal Enumerator(AddressSpace memory, ReadOnlySpan<GuestSegment> segments, long skip, long length)
        {
            _memory = memory;
            _segments = segments;
            _skip = skip;
            _left = length;
        }

        /// <summary>The current part.</summary>
        public readonly Span<byte> Current => _current;

        /// <summary>Goes on to the next part.</summary>
        public bool MoveNext()
        {
            while (_left > 0 && !_segments.IsEmpty)
            {
                GuestSegment segment = _segments[0];
                _segments = _segments[1..];
                if (_skip >= segment.Length)
                {
                    _skip -= segment.Length;
                    continue;
                }

                int count = (int)Math.Min(segment.Length - _skip, _left);
                Gpa address = segment.Address + (ulong)_skip;
                _skip = 0;
                _left -= count;
                // The queue has checked the range; only a host that unmaps memory under a running device gets here without it.
                if (_memory.TryGetSpan(address, count, out _current))
                    return true;
            }

            return false;
        }
    }
}

/// <summary>One contiguous piece of guest memory, checked to lie in RAM.</summary>
internal readonly record struct GuestSegment(Gpa Address, int Length);
