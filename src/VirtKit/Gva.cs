using System.Globalization;

namespace VirtKit;

/// <summary>A guest virtual address, in bytes: what an instruction computes, before the guest's own translation.</summary>
/// <param name="Value">The address, 0 to 2^64 - 1.</param>
public readonly record struct Gva(ulong Value)
{
    /// <summary>The address in hexadecimal, <c>0xffffffff80000000</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}
