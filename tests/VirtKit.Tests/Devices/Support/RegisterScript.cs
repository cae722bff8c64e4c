using System.Globalization;
using System.Text;

namespace VirtKit.Tests.Devices.Support;

/// <summary>Accesses a device through an address space, as a guest does, and writes down what it did, what came back and which lines are up.</summary>
internal sealed class RegisterScript : IDisposable
{
    private const ulong Start = 0x1000_0000;
    private readonly AddressSpace _space = new();
    private readonly LineRecorder _lines;
    private readonly StringBuilder _text = new();

    public RegisterScript(IDevice device, LineRecorder lines)
    {
        _lines = lines;
        _space.Map(new Gpa(Start), device);
        _space.DeviceFailed += (d, e) => Assert.Fail($"{d.Window.Name} threw {e}");
    }

    public void Note(string text) => _text.Append("\n# ").Append(text).Append('\n');

    public ulong Read(string name, ulong offset, int size)
    {
        bool answered = _space.TryLoad(new Gpa(Start + offset), size, out ulong value);
        Line('R', name, offset, size, answered ? "-> " + Hex(value, size) : "-> fault");
        return value;
    }

    public void Write(string name, ulong offset, int size, ulong value)
    {
        bool answered = _space.TryStore(new Gpa(Start + offset), size, value);
        Line('W', name, offset, size, "<- " + Hex(value, size) + (answered ? "" : " fault"));
    }

    /// <summary>Writes down something that happens outside the registers.</summary>
    public void Event(string text, Action action)
    {
        action();
        _text.Append(CultureInfo.InvariantCulture, $"! {text,-44} lines [{_lines}]\n");
    }

    public override string ToString() => _text.ToString().TrimStart('\n');

    public void Dispose() => _space.Release();

    private static string Hex(ulong value, int size) => value.ToString("x" + size * 2, CultureInfo.InvariantCulture);

    private void Line(char kind, string name, ulong offset, int size, string result) =>
        _text.Append(CultureInfo.InvariantCulture, $"{kind}{size} {offset,8:x} {name,-14} {result,-20} lines [{_lines}]\n");
}
