using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using VirtKit.Accel.Translator.Checking;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>A hart's state as text, field by field, so that a difference reads well and no field is forgotten.</summary>
internal static class StateText
{
    /// <returns>Nothing where they are equal in every bit.</returns>
    public static string? Difference(RiscVState expected, RiscVState actual) => StateDifference.Find(
        RiscVRegisters.All, MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in expected)), MemoryMarshal.AsBytes(new ReadOnlySpan<RiscVState>(in actual)));

    public static string Of(RiscVState state)
    {
        var text = new StringBuilder();
        foreach (FieldInfo field in typeof(RiscVState).GetFields())
        {
            object value = field.GetValue(state)!;
            string shown = value switch
            {
                RiscVState.RegisterFile file => string.Join(' ', ((ReadOnlySpan<ulong>)file).ToArray().Select(v => v.ToString("x", CultureInfo.InvariantCulture))),
                RiscVState.PmpAddresses addresses => string.Join(' ', ((ReadOnlySpan<ulong>)addresses).ToArray().Select(v => v.ToString("x", CultureInfo.InvariantCulture))),
                RiscVState.PmpConfigurations configurations => Convert.ToHexString((ReadOnlySpan<byte>)configurations),
                ulong number => number.ToString("x", CultureInfo.InvariantCulture),
                _ => value.ToString()!,
            };
            text.Append(CultureInfo.InvariantCulture, $"{field.Name} {shown}\n");
        }

        return text.ToString();
    }
}
