namespace VirtKit.Boot;

/// <summary>What a loader is about to write: every range is checked before the first byte is written, so that a refused image leaves guest memory as it was.</summary>
internal sealed class LoadPlan(AddressSpace memory)
{
    private readonly List<Piece> _pieces = [];

    /// <summary>Plans a range that begins with <paramref name="content"/>; the rest of <paramref name="size"/> is only claimed, or zeroed.</summary>
    public void Add(string what, Gpa start, ReadOnlyMemory<byte> content, ulong size, Remainder remainder)
    {
        if (size != 0)
            _pieces.Add(new Piece(what, start, content, size, remainder));
    }

    /// <summary>Checks that all ranges are memory and that none overlaps another, then writes them.</summary>
    /// <exception cref="InvalidImageException">A range is not; nothing has been written.</exception>
    public void Commit()
    {
        _pieces.Sort((a, b) => a.Start.CompareTo(b.Start));
        for (int i = 0; i < _pieces.Count; i++)
        {
            Piece piece = _pieces[i];
            if (!IsMemory(piece.Start, piece.Size))
                throw new InvalidImageException($"{piece.What} at {piece.Start}, {piece.Size} bytes, does not lie in the machine's memory.");
            // Sorted and inside the address space, so a neighbour shows every overlap; it also bounds the bytes written by the size of memory.
            if (i > 0 && piece.Start - _pieces[i - 1].Start < _pieces[i - 1].Size)
                throw new InvalidImageException($"{piece.What} at {piece.Start} overlaps {_pieces[i - 1].What} at {_pieces[i - 1].Start}.");
        }

        Span<byte> zeros = stackalloc byte[AddressSpace.PageSize];
        zeros.Clear();
        foreach (Piece piece in _pieces)
        {
            memory.Write(piece.Start, piece.Content.Span);
            if (piece.Remainder == Remainder.Claimed)
                continue;
            for (ulong done = (ulong)piece.Content.Length; done < piece.Size; done += Math.Min(piece.Size - done, (ulong)zeros.Length))
                memory.Write(piece.Start + done, zeros[..(int)Math.Min(piece.Size - done, (ulong)zeros.Length)]);
        }
    }

    private bool IsMemory(Gpa start, ulong size)
    {
        if (start.Value + (size - 1) < start.Value)
            return false;
        while (size > 0)
        {
            if (memory.Find(start) is not { IsMemory: true } region)
                return false;
            ulong step = Math.Min(size, region.Size - (start - region.Start));
            size -= step;
            start += step;
        }

        return true;
    }

    /// <summary>What happens to the part of a range that the file does not fill.</summary>
    internal enum Remainder
    {
        Claimed,
        Zeroed,
    }

    private readonly record struct Piece(string What, Gpa Start, ReadOnlyMemory<byte> Content, ulong Size, Remainder Remainder);
}
