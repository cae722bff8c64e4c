using System.Globalization;
using System.Text;

namespace VirtKit.State;

/// <summary>State as stable text, a line a field, for people, reports and snapshot tests.</summary>
public sealed class StateText : StateVisitor
{
    private readonly StringBuilder _text = new();

    /// <inheritdoc/>
    public override bool IsReading => false;

    /// <summary>Shows one part.</summary>
    public static string Of(ISnapshotable part)
    {
        ArgumentNullException.ThrowIfNull(part);
        var text = new StateText();
        part.Visit(text);
        return text.ToString();
    }

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    private protected override void Visit(string name, StateType type, Span<byte> bytes)
    {
        int size = type switch { StateType.UInt16 => 2, StateType.UInt32 => 4, StateType.UInt64 => 8, _ => 1 };
        _text.Append(' ', 2 * Depth).Append(name).Append(" =");
        for (int i = 0; i < bytes.Length; i += size)
        {
            ulong value = 0;
            for (int part = size - 1; part >= 0; part--)
                value = value << 8 | bytes[i + part];
            _text.Append(CultureInfo.InvariantCulture, $" {value:x}");
        }

        _text.Append('\n');
    }

    private protected override void BeginPart(string name) => _text.Append(' ', 2 * Depth).Append(name).Append('\n');

    private protected override void EndPart() { }
}
