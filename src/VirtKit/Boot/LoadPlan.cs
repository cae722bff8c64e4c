namespace VirtKit.Boot;

/// <summary>What one loader is about to write: every range is checked, also against what others have loaded, before the first byte is written, so that a refused image
/// leaves guest memory as it was.</summary>
internal sealed class LoadPlan(AddressSpace memory)
{
    private readonly List<Piece> _pieces = [];

    /// <summary>Plans a range that begins with <paramref name="content"/>; the rest of <paramref name="size"/> is only claimed, or zeroed.</summary>
    public void Add(string name, Gpa start, ReadOnlyMemory<byte> content, ulong size, Remainder remainder)
    {
        if (size != 0)
            _pieces.Add(new Piece(new LoadedRange(name, start, size), content, remainder));
    }

    /// <summary>Checks that all ranges are memory and that none overlaps another, then writes them.</summary>
    /// <param name="whole">What is claimed instead of the single ranges, where the image uses the memory between and behind them, too.</param>
    /// <exception cref="InvalidImageException">A range is not memory, or overlaps another of this plan.</exception>
    /// <exception cref="LoadOverlapException">A range overlaps one that was loaded before.</exception>
    public void Commit(LoadedRange? whole = null)
    {
        _pieces.Sort((a, b) => a.Range.Start.CompareTo(b.Range.Start));
        for (int i = 0; i < _pieces.Count; i++)
        {
            memory.Loaded.CheckMemory(_pieces[i].Range);
            // Sorted and inside the address space, so a neighbour shows every overlap; it also bounds the bytes written by the size of memory.
            if (i > 0 && _pieces[i - 1].Range.Last >= _pieces[i].Range.Start)
                throw new InvalidImageException($"{_pieces[i].Range.ToSentenceStart()}, overlaps {_pieces[i - 1].Range}.");
        }

        if (whole is not null)
            memory.Loaded.CheckMemory(whole);
        memory.Loaded.Add(whole is not null ? [whole] : _pieces.ConvertAll(piece => piece.Range));
        foreach (Piece piece in _pieces)
            Write(piece);
    }

    private void Write(Piece piece)
    {
        memory.Write(piece.Range.Start, piece.Content.Span);
        if (piece.Remainder == Remainder.Claimed)
            return;
        Span<byte> zeros = stackalloc byte[AddressSpace.PageSize];
        zeros.Clear();
        for (ulong done = (ulong)piece.Content.Length; done < piece.Range.Size; done += Math.Min(piece.Range.Size - done, (ulong)zeros.Length))
            memory.Write(piece.Range.Start + done, zeros[..(int)Math.Min(piece.Range.Size - done, (ulong)zeros.Length)]);
    }

    /// <summary>What happens to the part of a range that the file does not fill.</summary>
    internal enum Remainder
    {
        Claimed,
        Zeroed,
    }

    private sealed record Piece(LoadedRange Range, ReadOnlyMemory<byte> Content, Remainder Remainder);
}
