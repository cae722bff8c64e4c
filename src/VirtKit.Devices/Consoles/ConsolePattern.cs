using System.Text;
using System.Text.RegularExpressions;

namespace VirtKit.Devices.Consoles;

/// <summary>What a host waits for in a console's output, with its own copy of the output since the last match: searching holds no lock that the guest waits for.</summary>
internal abstract class ConsolePattern<T>
{
    /// <summary>The output that was not consumed yet, from its start.</summary>
    protected ConsoleBuffer Unread { get; } = new(int.MaxValue);

    /// <summary>Adds output that follows what came before.</summary>
    public virtual void Add(ReadOnlySpan<byte> bytes) => Unread.Append(bytes);

    /// <summary>Starts again, with no output.</summary>
    public virtual void Clear() => Unread.Drop(Unread.Count);

    /// <summary>Searches.</summary>
    /// <param name="length">How many bytes are consumed: everything up to the end of the match.</param>
    /// <param name="result">What the caller gets.</param>
    public abstract bool TryFind(out int length, out T? result);
}

/// <summary>A text, compared as UTF-8 bytes.</summary>
internal sealed class TextPattern(string text) : ConsolePattern<string>
{
    private readonly byte[] _wanted = Encoding.UTF8.GetBytes(text);
    private int _searched;

    public override void Clear()
    {
        base.Clear();
        _searched = 0;
    }

    public override bool TryFind(out int length, out string? result)
    {
        int found = Unread.Bytes[_searched..].IndexOf(_wanted);
        if (found < 0)
        {
            _searched = Math.Max(_searched, Unread.Count - _wanted.Length + 1);
            (length, result) = (0, null);
            return false;
        }

        length = _searched + found + _wanted.Length;
        result = Encoding.UTF8.GetString(Unread.Bytes[..length]);
        return true;
    }

    public override string ToString() => $"\"{text}\"";
}

/// <summary>A regular expression over the output as UTF-8 text.</summary>
/// <param name="regex">The expression.</param>
/// <param name="meaning">What messages call it; the expression itself when <see langword="null"/>.</param>
internal sealed class RegexPattern(Regex regex, string? meaning = null) : ConsolePattern<ConsoleMatch>
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private char[] _text = new char[256];
    private int _length;

    public override void Add(ReadOnlySpan<byte> bytes)
    {
        base.Add(bytes);
        // A byte becomes one character at most, and one that an earlier call held back may come out too.
        if (_text.Length - _length <= bytes.Length)
            Array.Resize(ref _text, Math.Max(_length + bytes.Length + 1, (int)Math.Min(2L * _text.Length, Array.MaxLength)));
        _length += _decoder.GetChars(bytes, _text.AsSpan(_length), flush: false);
    }

    public override void Clear()
    {
        base.Clear();
        _decoder.Reset();
        _length = 0;
    }

    public override bool TryFind(out int length, out ConsoleMatch? result)
    {
        (length, result) = (0, null);
        ReadOnlySpan<char> text = _text.AsSpan(0, _length);
        if (!regex.IsMatch(text))
            return false;
        Match match = regex.Match(text.ToString());
        length = BytesOf(match.Index + match.Length);
        result = new ConsoleMatch(text[..match.Index].ToString(), match);
        return true;
    }

    public override string ToString() => meaning ?? $"/{regex}/";

    /// <summary>How many of the bytes the first characters were made of.</summary>
    private int BytesOf(int characters)
    {
        int bytes = 0;
        while (characters > 0)
        {
            Rune.DecodeFromUtf8(Unread.Bytes[bytes..], out Rune rune, out int count);
            characters -= rune.Utf16SequenceLength;
            bytes += count;
        }

        return bytes;
    }
}
