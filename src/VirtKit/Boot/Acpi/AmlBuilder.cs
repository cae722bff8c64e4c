using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot.Acpi;

/// <summary>Writes ACPI machine language: the scopes, devices, named values and notifying methods that describe a fixed board (ACPI 6.4 §20.2).</summary>
public sealed class AmlBuilder
{
    private const byte NameOp = 0x08, BytePrefix = 0x0a, WordPrefix = 0x0b, DWordPrefix = 0x0c, StringPrefix = 0x0d, ScopeOp = 0x10, BufferOp = 0x11, PackageOp = 0x12,
        MethodOp = 0x14, NotifyOp = 0x86, ExtendedPrefix = 0x5b, DeviceOp = 0x82, RootPrefix = 0x5c;
    private const int LongestPackage = (1 << 20) - 1, MaxArguments = 7, Serialized = 8;

    /// <summary>The deepest nesting. Closing a package moves its content by the length that precedes it, so that the depth bounds how often a byte is moved.</summary>
    private const int MaxDepth = 32;

    /// <summary>Heads a device's properties in its <c>_DSD</c>.</summary>
    private static readonly Guid DeviceProperties = new("daffd814-6eba-4d8c-8a91-bc9bbf4aa301");

    private readonly List<byte> _bytes = [];
    private readonly Stack<int> _open = [];

    /// <summary>Opens a scope that exists: <c>_SB_</c>, below the root.</summary>
    /// <param name="name">Four characters: capital letters, digits and <c>_</c>, no digit first (ACPI 6.4 §20.2.2, NameSeg).</param>
    /// <exception cref="ArgumentException">The name is another.</exception>
    /// <exception cref="InvalidOperationException">Scopes, devices and methods are nested more than 32 deep.</exception>
    public AmlBuilder BeginScope(string name)
    {
        CheckSegment(name);
        CheckDepth();
        _bytes.Add(ScopeOp);
        _open.Push(_bytes.Count);
        _bytes.Add(RootPrefix);
        return Segment(name);
    }

    /// <summary>Opens a device.</summary>
    /// <inheritdoc cref="BeginScope"/>
    public AmlBuilder BeginDevice(string name)
    {
        CheckSegment(name);
        CheckDepth();
        _bytes.AddRange([ExtendedPrefix, DeviceOp]);
        _open.Push(_bytes.Count);
        return Segment(name);
    }

    /// <summary>Opens a device with what every device has: its hardware ID, <c>_UID</c>, and its registers and interrupts as <c>_CRS</c>.</summary>
    /// <param name="device">What the board has given it.</param>
    /// <param name="hardwareId">The hardware ID: of the form <c>PNP0501</c>, which is written compressed, or <c>ACPI0007</c>.</param>
    /// <param name="trigger">How its interrupts are triggered.</param>
    public AmlBuilder BeginDevice(AcpiResources device, string hardwareId, AcpiTrigger trigger)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(hardwareId);
        AmlResources resources = device.Registers.Copy();
        foreach (uint interrupt in device.Interrupts)
            resources.Interrupt(interrupt, trigger);
        BeginDevice(device.Name);
        _ = hardwareId.Length == 7 ? NameEisaId("_HID", hardwareId) : Name("_HID", hardwareId);
        return Name("_UID", device.UniqueId).NameResources(resources);
    }

    /// <summary>Opens a method, which one processor at a time runs (ACPI 6.4 §19.6.85).</summary>
    /// <param name="name">Four characters, as for a scope.</param>
    /// <param name="arguments">How many arguments it takes, 0 to 7.</param>
    /// <inheritdoc cref="BeginScope"/>
    /// <exception cref="ArgumentOutOfRangeException">There are more than 7 arguments, or fewer than none.</exception>
    public AmlBuilder BeginMethod(string name, int arguments)
    {
        CheckSegment(name);
        ArgumentOutOfRangeException.ThrowIfNegative(arguments);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(arguments, MaxArguments);
        CheckDepth();
        _bytes.Add(MethodOp);
        _open.Push(_bytes.Count);
        Segment(name);
        _bytes.Add((byte)(arguments | Serialized));
        return this;
    }

    /// <summary>Notifies the operating system's driver of a device, inside a method (ACPI 6.4 §19.6.91).</summary>
    /// <param name="device">The device's name, which is looked for in the method's scope and in those around it.</param>
    /// <param name="value">What has happened: below 0x80 the same for all devices, from there on the device's own.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    public AmlBuilder Notify(string device, byte value)
    {
        CheckSegment(device);
        _bytes.Add(NotifyOp);
        Segment(device);
        Integer(value);
        return this;
    }

    /// <summary>Closes the innermost scope, device or method.</summary>
    /// <exception cref="InvalidOperationException">None is open, or it has 1 MiB or more.</exception>
    public AmlBuilder End()
    {
        if (_open.Count == 0)
            throw new InvalidOperationException("Nothing is open.");
        int start = _open.Pop();
        _bytes.InsertRange(start, PackageLength(_bytes.Count - start));
        return this;
    }

    /// <summary>Names an integer.</summary>
    public AmlBuilder Name(string name, uint value)
    {
        BeginName(name);
        Integer(value);
        return this;
    }

    /// <summary>Names a string.</summary>
    /// <exception cref="ArgumentException">The name is none, or the value has characters that are not ASCII, or a null one.</exception>
    public AmlBuilder Name(string name, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (value.AsSpan().ContainsAnyExceptInRange('\x01', '\x7f'))
            throw new ArgumentException($"An AML string has ASCII characters, not '{value}'.", nameof(value));
        BeginName(name);
        _bytes.Add(StringPrefix);
        _bytes.AddRange(Encoding.ASCII.GetBytes(value));
        _bytes.Add(0);
        return this;
    }

    /// <summary>Names a package of integers.</summary>
    /// <exception cref="ArgumentException">The name is none, or there are more than 255 values.</exception>
    public AmlBuilder NamePackage(string name, params ReadOnlySpan<uint> values)
    {
        if (values.Length > byte.MaxValue)
            throw new ArgumentException($"An AML package has at most 255 elements, not {values.Length}.", nameof(values));
        BeginName(name);
        _bytes.Add(PackageOp);
        int start = _bytes.Count;
        _bytes.Add((byte)values.Length);
        foreach (uint value in values)
            Integer(value);
        _bytes.InsertRange(start, PackageLength(_bytes.Count - start));
        return this;
    }

    /// <summary>Names a device's hardware ID in its compressed form (ACPI 6.4 §19.3.4).</summary>
    /// <param name="name"><c>_HID</c> or <c>_CID</c>.</param>
    /// <param name="id">Three capital letters and four hexadecimal digits, <c>PNP0501</c>.</param>
    /// <exception cref="ArgumentException">The name or the ID is none.</exception>
    public AmlBuilder NameEisaId(string name, string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id.Length != 7 || id.AsSpan(0, 3).ContainsAnyExceptInRange('A', 'Z') || !id.Skip(3).All(char.IsAsciiHexDigit))
            throw new ArgumentException($"An EISA ID has three capital letters and four hexadecimal digits, not '{id}'.", nameof(id));
        uint vendor = (uint)((id[0] - '@') << 10 | (id[1] - '@') << 5 | (id[2] - '@'));
        uint value = vendor << 16 | Convert.ToUInt32(id[3..], 16);
        BeginName(name);
        Integer(BinaryPrimitives.ReverseEndianness(value));
        return this;
    }

    /// <summary>Names a device's current resources, <c>_CRS</c>.</summary>
    public AmlBuilder NameResources(AmlResources resources)
    {
        ArgumentNullException.ThrowIfNull(resources);
        BeginName("_CRS");
        _bytes.Add(BufferOp);
        int start = _bytes.Count;
        byte[] template = resources.ToArray();
        Integer((uint)template.Length);
        _bytes.AddRange(template);
        _bytes.InsertRange(start, PackageLength(_bytes.Count - start));
        return this;
    }

    /// <summary>Names what a device-tree driver knows the device by, as the property <c>compatible</c> of <c>_DSD</c> (ACPI 6.4 §6.2.5): Linux finds such a driver
    /// for a device whose hardware ID is <c>PRP0001</c>.</summary>
    /// <param name="compatible">The name in ASCII, <c>example,squarer</c>.</param>
    public AmlBuilder NameCompatible(string compatible)
    {
        ArgumentException.ThrowIfNullOrEmpty(compatible);
        BeginName("_DSD");
        byte[] guid = [BytePrefix, 16, .. DeviceProperties.ToByteArray()];
        byte[] property = Package(2, [StringPrefix, .. "compatible\0"u8, StringPrefix, .. Encoding.ASCII.GetBytes(compatible), 0]);
        _bytes.AddRange(Package(2, [BufferOp, .. PackageLength(guid.Length), .. guid, .. Package(1, property)]));
        return this;

        static byte[] Package(byte count, byte[] elements) => [PackageOp, .. PackageLength(1 + elements.Length), count, .. elements];
    }

    /// <summary>The code: a definition block's body.</summary>
    /// <exception cref="InvalidOperationException">A scope is still open.</exception>
    public byte[] ToArray() => _open.Count == 0 ? [.. _bytes] : throw new InvalidOperationException("A scope is still open.");

    private void BeginName(string name)
    {
        CheckSegment(name);
        _bytes.Add(NameOp);
        Segment(name);
    }

    private AmlBuilder Segment(string name)
    {
        _bytes.AddRange(Encoding.ASCII.GetBytes(name));
        return this;
    }

    private static void CheckSegment(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length != 4 || char.IsAsciiDigit(name[0]) || !name.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'))
            throw new ArgumentException($"An AML name has four characters, capital letters, digits and '_', not '{name}'.", nameof(name));
    }

    private void CheckDepth()
    {
        if (_open.Count == MaxDepth)
            throw new InvalidOperationException($"Scopes, devices and methods nest at most {MaxDepth} deep.");
    }

    private void Integer(uint value)
    {
        Span<byte> bytes = stackalloc byte[5];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[1..], value);
        if (value <= 1)
        {
            _bytes.Add((byte)value);
            return;
        }

        (bytes[0], int length) = value switch { <= 0xff => (BytePrefix, 2), <= 0xffff => (WordPrefix, 3), _ => (DWordPrefix, 5) };
        _bytes.AddRange(bytes[..length]);
    }

    /// <summary>PkgLength counts itself (ACPI 6.4 §20.2.4).</summary>
    private static byte[] PackageLength(int content)
    {
        if (content + 1 < 0x40)
            return [(byte)(content + 1)];
        int extra = content + 2 < 0x1000 ? 1 : 2, length = content + 1 + extra;
        if (length > LongestPackage)
            throw new InvalidOperationException($"An AML package of {content} bytes is too long.");
        byte[] bytes = new byte[1 + extra];
        bytes[0] = (byte)(extra << 6 | length & 15);
        for (int i = 1; i <= extra; i++)
            bytes[i] = (byte)(length >> (i * 8 - 4));
        return bytes;
    }
}
