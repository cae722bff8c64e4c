namespace VirtKit;

/// <summary>The widths of access that a device answers. The value of each flag is its width in bytes.</summary>
[Flags]
public enum AccessWidths
{
    /// <summary>1 byte.</summary>
    Byte = 1,

    /// <summary>2 bytes.</summary>
    HalfWord = 2,

    /// <summary>4 bytes.</summary>
    Word = 4,

    /// <summary>8 bytes.</summary>
    DoubleWord = 8,

    /// <summary>1, 2, 4 and 8 bytes.</summary>
    Any = Byte | HalfWord | Word | DoubleWord,
}
