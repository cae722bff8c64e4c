using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot.Acpi;

/// <summary>The ACPI tables of a hardware-reduced PC (ACPI 6.4 §4.1): RSDP, XSDT, FADT, MADT and DSDT.</summary>
public sealed record AcpiPlatform
{
    private const int HeaderSize = 36, RsdpSize = 36, FadtSize = 276, XsdtEntries = 2;
    private const uint WriteBackInvalidate = 1, NoPowerButton = 1 << 4, NoSleepButton = 1 << 5, ResetRegisterSupported = 1 << 10, HardwareReduced = 1 << 20;
    private const ushort LegacyDevices = 1, NoVga = 1 << 2;
    private const byte PortSpace = 1, ByteAccess = 1, EveryProcessor = 0xff;

    /// <summary>The number of processors; their local APIC IDs count from 0.</summary>
    public required int ProcessorCount { get; init; }

    /// <summary>The local APICs' page.</summary>
    public required Gpa LocalApic { get; init; }

    /// <summary>The I/O APIC, whose inputs are the global system interrupts from 0.</summary>
    public required Gpa IoApic { get; init; }

    /// <summary>The sleep control register's port; the sleep status register's is the next.</summary>
    public required ushort SleepPort { get; init; }

    /// <summary>The reset register's port.</summary>
    public required ushort ResetPort { get; init; }

    /// <summary>What is written to the reset register.</summary>
    public required byte ResetValue { get; init; }

    /// <summary>The body of the DSDT: an <see cref="AmlBuilder"/>'s code.</summary>
    public required ReadOnlyMemory<byte> Dsdt { get; init; }

    /// <summary>The tables' bytes, the RSDP first.</summary>
    /// <param name="start">Where they will stand: a multiple of 16 below 4 GiB.</param>
    /// <exception cref="ArgumentException"><paramref name="start"/> is another.</exception>
    /// <exception cref="InvalidOperationException">There are not 1 to 254 processors, or an APIC lies above 4 GiB: the tables have no room for these.</exception>
    public byte[] ToArray(Gpa start)
    {
        if (ProcessorCount is < 1 or > EveryProcessor - 1)
            throw new InvalidOperationException($"The tables describe 1 to {EveryProcessor - 1} processors, not {ProcessorCount}.");
        if (LocalApic.Value > uint.MaxValue || IoApic.Value > uint.MaxValue)
            throw new InvalidOperationException($"APICs lie below 4 GiB, not at {LocalApic} and {IoApic}.");
        if (start.Value % 16 != 0 || start.Value >= uint.MaxValue)
            throw new ArgumentException("ACPI tables stand at a multiple of 16 below 4 GiB.", nameof(start));
        var image = new List<byte>(new byte[Align(RsdpSize)]);
        ulong dsdt = Add(Table("DSDT", 2, Dsdt.Span)), madt = Add(Table("APIC", 5, Madt())), fadt = Add(Table("FACP", 6, Fadt(dsdt)));
        byte[] entries = new byte[XsdtEntries * 8];
        BinaryPrimitives.WriteUInt64LittleEndian(entries, fadt);
        BinaryPrimitives.WriteUInt64LittleEndian(entries.AsSpan(8), madt);
        byte[] rsdp = Rsdp(Add(Table("XSDT", 1, entries)));
        byte[] bytes = [.. image];
        rsdp.CopyTo(bytes, 0);
        return bytes;

        ulong Add(byte[] table)
        {
            ulong address = start.Value + (ulong)image.Count;
            image.AddRange(table);
            image.AddRange(new byte[Align(table.Length) - table.Length]);
            return address;
        }
    }

    private byte[] Madt()
    {
        var madt = new List<byte>(new byte[8]);
        for (int i = 0; i < ProcessorCount; i++)
            madt.AddRange([0, 8, (byte)i, (byte)i, 1, 0, 0, 0]);
        Span<byte> ioApic = [1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(ioApic[4..], (uint)IoApic.Value);
        madt.AddRange(ioApic);
        // LINT1 of every processor is NMI.
        madt.AddRange([4, 6, EveryProcessor, 0, 0, 1]);
        byte[] bytes = [.. madt];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)LocalApic.Value);
        // There is a pair of 8259s, too.
        bytes[4] = 1;
        return bytes;
    }

    /// <summary>The FADT (ACPI 6.4 table 5.9) behind its header; offsets are the specification's.</summary>
    private byte[] Fadt(ulong dsdt)
    {
        byte[] fadt = new byte[FadtSize];
        BinaryPrimitives.WriteUInt32LittleEndian(fadt.AsSpan(40), (uint)dsdt);
        BinaryPrimitives.WriteUInt16LittleEndian(fadt.AsSpan(109), LegacyDevices | NoVga);
        BinaryPrimitives.WriteUInt32LittleEndian(fadt.AsSpan(112), WriteBackInvalidate | NoPowerButton | NoSleepButton | ResetRegisterSupported | HardwareReduced);
        Port(116, ResetPort);
        fadt[128] = ResetValue;
        fadt[131] = 4;
        BinaryPrimitives.WriteUInt64LittleEndian(fadt.AsSpan(140), dsdt);
        Port(244, SleepPort);
        Port(256, (ushort)(SleepPort + 1));
        "VirtKit\0"u8.CopyTo(fadt.AsSpan(268));
        return fadt[HeaderSize..];

        void Port(int offset, ushort port)
        {
            (fadt[offset], fadt[offset + 1], fadt[offset + 3]) = (PortSpace, 8, ByteAccess);
            BinaryPrimitives.WriteUInt64LittleEndian(fadt.AsSpan(offset + 4), port);
        }
    }

    private static byte[] Rsdp(ulong xsdt)
    {
        byte[] rsdp = new byte[RsdpSize];
        "RSD PTR "u8.CopyTo(rsdp);
        "VIRTKT"u8.CopyTo(rsdp.AsSpan(9));
        rsdp[15] = 2;
        BinaryPrimitives.WriteInt32LittleEndian(rsdp.AsSpan(20), RsdpSize);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp.AsSpan(24), xsdt);
        rsdp[8] = Checksum(rsdp.AsSpan(0, 20));
        rsdp[32] = Checksum(rsdp);
        return rsdp;
    }

    private static byte[] Table(string signature, byte revision, ReadOnlySpan<byte> body)
    {
        byte[] table = [.. new byte[HeaderSize], .. body];
        Encoding.ASCII.GetBytes(signature, table);
        BinaryPrimitives.WriteInt32LittleEndian(table.AsSpan(4), table.Length);
        table[8] = revision;
        "VIRTKTVIRTKIT "u8.CopyTo(table.AsSpan(10));
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(24), 1);
        "VKIT"u8.CopyTo(table.AsSpan(28));
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(32), 1);
        table[9] = Checksum(table);
        return table;
    }

    private static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
            sum += b;
        return (byte)-sum;
    }

    private static int Align(int size) => (size + 15) / 16 * 16;
}
