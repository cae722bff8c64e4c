using System.Buffers.Binary;

namespace VirtKit.Boot.Acpi;

/// <summary>A device's resources: memory, ports and interrupts (ACPI 6.4 §6.4).</summary>
public sealed class AmlResources
{
    private readonly List<byte> _bytes = [];

    /// <summary>Adds a range of memory below 4 GiB, read and written.</summary>
    /// <param name="start">The first address.</param>
    /// <param name="size">The length in bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie below 4 GiB.</exception>
    public AmlResources Memory(Gpa start, uint size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start.Value, uint.MaxValue, nameof(start));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start.Value + size, 1ul << 32, nameof(size));
        Span<byte> descriptor = [0x86, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], (uint)start.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], size);
        _bytes.AddRange(descriptor);
        return this;
    }

    /// <summary>Adds a range of ports.</summary>
    /// <param name="start">The first port.</param>
    /// <param name="count">How many, 1 to 255; the last one is at most 65535.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are none, or the last one is past the end.</exception>
    public AmlResources Ports(ushort start, byte count)
    {
        ArgumentOutOfRangeException.ThrowIfZero(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + count, 1 << 16, nameof(count));
        Span<byte> descriptor = [0x47, 1, 0, 0, 0, 0, 1, count];
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[2..], start);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[4..], start);
        _bytes.AddRange(descriptor);
        return this;
    }

    /// <summary>Adds an interrupt, active high and not shared.</summary>
    /// <param name="input">The global system interrupt.</param>
    /// <param name="trigger">How it is triggered.</param>
    public AmlResources Interrupt(uint input, AcpiTrigger trigger)
    {
        Span<byte> descriptor = [0x89, 6, 0, trigger == AcpiTrigger.Edge ? (byte)3 : (byte)1, 1, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[5..], input);
        _bytes.AddRange(descriptor);
        return this;
    }

    internal AmlResources Copy()
    {
        var copy = new AmlResources();
        copy._bytes.AddRange(_bytes);
        return copy;
    }

    /// <summary>The descriptors with their end tag, whose checksum is not used.</summary>
    internal byte[] ToArray() => [.. _bytes, 0x79, 0];
}

/// <summary>How an interrupt is triggered.</summary>
public enum AcpiTrigger
{
    /// <summary>By its level.</summary>
    Level,

    /// <summary>By its rising edge.</summary>
    Edge,
}
