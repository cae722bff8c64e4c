using VirtKit.State;

namespace VirtKit.Execution;

/// <summary>One register of an ISA: a row of its one table, for reports, debuggers and the text form of a state.</summary>
/// <param name="name">As the ISA's manual spells it.</param>
/// <param name="bits">Its width: 8, 32 or 64.</param>
/// <param name="group">What it belongs to.</param>
/// <param name="offset">Where it stands among the bytes of <see cref="GuestCpu.GetRegisters"/>.</param>
internal sealed class GuestRegister(string name, int bits, RegisterGroup group, int offset)
{
    public string Name => name;

    public int Bits => bits;

    public RegisterGroup Group => group;

    public ulong Get(ReadOnlySpan<byte> registers)
    {
        ulong value = 0;
        for (int i = bits / 8 - 1; i >= 0; i--)
            value = value << 8 | registers[offset + i];
        return value;
    }

    /// <param name="value">What does not fit the width is dropped.</param>
    public void Set(Span<byte> registers, ulong value)
    {
        for (int i = 0; i < bits / 8; i++)
            registers[offset + i] = (byte)(value >> (8 * i));
    }

    /// <summary>The register as a field of a state.</summary>
    public void Visit(StateVisitor visitor, Span<byte> registers)
    {
        ulong value = Get(registers);
        visitor.Field(name, ref value);
        visitor.Require(bits == 64 || value >> bits == 0, name, $"is {value:x}, and the register has {bits} bits");
        Set(registers, value);
    }
}

/// <summary>What a register belongs to, as debuggers group them.</summary>
internal enum RegisterGroup : byte
{
    General,
    Float,
    System,
}
