namespace VirtKit.Sandboxing;

/// <summary>A function of a sandbox's guest, looked up once, for calls that have to be fast.</summary>
/// <remarks>
/// Types of .NET and of C, for arguments both ways:
/// <list type="table">
/// <item><term>bool, byte, sbyte, short, ushort, char, int, uint, long, ulong, enumerations</term><description>the integer of the same size</description></item>
/// <item><term>float, double</term><description>float, double</description></item>
/// <item><term><see cref="Gva"/></term><description>a pointer of the guest's, as it is</description></item>
/// <item><term>string</term><description><c>const char *</c>, UTF-8 with a zero behind it; null is a null pointer</description></item>
/// <item><term>ReadOnlySpan of numbers, byte[], ReadOnlyMemory of bytes</term><description>a pointer and a <c>size_t</c>, the number of elements</description></item>
/// <item><term>Span of numbers</term><description>the same; what the guest leaves is copied back when the function returns</description></item>
/// <item><term>a structure without references</term><description>a pointer to it</description></item>
/// </list>
/// What the host passes is copied: onto the guest's stack, or, where it is larger than 16 KiB, into memory that is mapped for the call. What the guest passes is not copied but for
/// strings and structures. It belongs to its sandbox and is used as that is.
/// </remarks>
public sealed partial class SandboxFunction
{
    private readonly Sandbox _sandbox;

    internal SandboxFunction(Sandbox sandbox, string name, ulong address)
    {
        _sandbox = sandbox;
        Address = new Gva(address);
        Name = name;
    }

    /// <summary>The name by which it was looked up.</summary>
    public string Name { get; }

    /// <summary>Where it lies.</summary>
    public Gva Address { get; }

    /// <summary>Whether it has used floating-point registers: a call that does not is spared saving them.</summary>
    internal bool UsesFloat { get; set; }
}
