namespace VirtKit.Execution;

/// <summary>The pages of guest code from which an engine has decoded or translated blocks, by guest physical and by virtual address.</summary>
/// <remarks>Used by one thread at a time, but for <see cref="BytesChanged"/>.</remarks>
internal sealed unsafe class CodePages(GuestInstructions instructions) : IDisposable
{
    private readonly Dictionary<(ulong Physical, ulong Virtual), CodePage> _pages = [];
    private readonly int _pageSize = CodePage.SizeOf(instructions);
    private ulong _generation;

    /// <summary>Bytes that the pages take, without their blocks.</summary>
    public long Size { get; private set; }

    /// <summary>Code bytes may have changed: pages are compared with what they were before they are used again. Any thread.</summary>
    public void BytesChanged() => Interlocked.Increment(ref _generation);

    /// <summary>Finds a page, and drops its blocks if its bytes have changed.</summary>
    /// <param name="page">Its guest physical address.</param>
    /// <param name="virtualPage">Its virtual address.</param>
    /// <param name="host">Its bytes.</param>
    public CodePage? Find(ulong page, ulong virtualPage, byte* host)
    {
        if (!_pages.TryGetValue((page, virtualPage), out CodePage? known))
            return null;
        known.Validate(host, Volatile.Read(ref _generation));
        return known;
    }

    /// <summary>A page as it is, whatever its bytes are now. Any thread, while nobody adds one.</summary>
    public CodePage? Peek(ulong page, ulong virtualPage) => _pages.GetValueOrDefault((page, virtualPage));

    /// <summary>Adds a page that <see cref="Find"/> does not find.</summary>
    public CodePage Add(ulong page, ulong virtualPage, byte* host)
    {
        var added = new CodePage(instructions, virtualPage, host, Volatile.Read(ref _generation));
        _pages.Add((page, virtualPage), added);
        Size += _pageSize;
        return added;
    }

    /// <summary>The second block at an offset of a page: see <see cref="CodePage.AddOneOffBlocks"/>.</summary>
    public ref int OneOffBlockAt(CodePage page, int offset)
    {
        if (page.AddOneOffBlocks())
            Size += page.OneOffBlocksSize;
        return ref page.OneOffBlockAt(offset);
    }

    /// <summary>Drops all pages.</summary>
    public void Clear()
    {
        foreach (CodePage page in _pages.Values)
            page.Dispose();
        _pages.Clear();
        Size = 0;
    }

    public void Dispose() => Clear();
}
