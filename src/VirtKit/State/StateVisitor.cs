using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.State;

/// <summary>Passes over the fields of a state, by their names: to save them (<see cref="StateWriter"/>), to restore them (<see cref="StateReader"/>) or to show them
/// (<see cref="StateText"/>). Used by one thread.</summary>
public abstract class StateVisitor
{
    /// <summary>Longest name of a field or part in UTF-8 bytes.</summary>
    public const int MaxNameLength = 64;

    private readonly List<string> _parts = [];

    private protected StateVisitor() { }

    /// <summary>Whether fields are given values, rather than asked for them.</summary>
    public abstract bool IsReading { get; }

    /// <summary>The version of the fields that follow in this part.</summary>
    /// <param name="current">The version that this code writes, 1 or more.</param>
    /// <returns>The version that was written: fields that came with a later one are not there.</returns>
    /// <exception cref="InvalidSnapshotException">It is newer than <paramref name="current"/>.</exception>
    public int Version(int current)
    {
        int version = current;
        Field("version", ref version);
        Require(version >= 1 && version <= current, "version", $"is {version}, and this build knows 1 to {current}");
        return version;
    }

    /// <summary>A field.</summary>
    public void Field(string name, ref bool value)
    {
        byte number = value ? (byte)1 : (byte)0;
        Visit(name, StateType.Bool, MemoryMarshal.AsBytes(new Span<byte>(ref number)));
        Require(number <= 1, name, $"is {number}, neither false nor true");
        value = number != 0;
    }

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref byte value) => Fields(name, new Span<byte>(ref value));

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref ushort value) => Fields(name, new Span<ushort>(ref value));

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref uint value) => Fields(name, new Span<uint>(ref value));

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref ulong value) => Fields(name, new Span<ulong>(ref value));

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref int value)
    {
        uint bits = (uint)value;
        Field(name, ref bits);
        value = (int)bits;
    }

    /// <inheritdoc cref="Field(string, ref bool)"/>
    public void Field(string name, ref long value)
    {
        ulong bits = (ulong)value;
        Field(name, ref bits);
        value = (long)bits;
    }

    /// <summary>A field of an enumeration that is a byte. A value that has no name is refused.</summary>
    public void Enumeration<T>(string name, ref T value) where T : struct, Enum
    {
        if (Unsafe.SizeOf<T>() != 1)
            throw new ArgumentException($"{typeof(T).Name} is not an enumeration of bytes.", nameof(value));
        byte number = Unsafe.As<T, byte>(ref value);
        Field(name, ref number);
        T read = Unsafe.As<byte, T>(ref number);
        Require(Enum.IsDefined(read), name, $"is {number}, which {typeof(T).Name} does not have");
        value = read;
    }

    /// <summary>Bytes, always as many.</summary>
    public void Fields(string name, Span<byte> values) => Visit(name, StateType.UInt8, values);

    /// <summary>Bytes, as many as there are.</summary>
    /// <param name="name">The field.</param>
    /// <param name="value">The bytes. Where it reads, an array of its own; otherwise they are only looked at.</param>
    /// <param name="most">The most that the field can have: a saved field that is longer is refused before anything is allocated for it.</param>
    public void Bytes(string name, ref byte[] value, int most)
    {
        ArgumentNullException.ThrowIfNull(value);
        ArgumentOutOfRangeException.ThrowIfNegative(most);
        value = VisitAll(name, value, most);
    }

    /// <summary>Numbers, always as many.</summary>
    public void Fields(string name, Span<ushort> values) => Numbers(name, StateType.UInt16, values, static bits => BinaryPrimitives.ReverseEndianness(bits));

    /// <inheritdoc cref="Fields(string, Span{ushort})"/>
    public void Fields(string name, Span<uint> values) => Numbers(name, StateType.UInt32, values, static bits => BinaryPrimitives.ReverseEndianness(bits));

    /// <inheritdoc cref="Fields(string, Span{ushort})"/>
    public void Fields(string name, Span<ulong> values) => Numbers(name, StateType.UInt64, values, static bits => BinaryPrimitives.ReverseEndianness(bits));

    /// <summary>A part with fields of its own.</summary>
    public void Part<T>(string name, ref T part) where T : struct, ISnapshotable
    {
        Enter(name);
        part.Visit(this);
        Leave();
    }

    /// <summary>A part that is an object of its own, with fields of its own.</summary>
    public void Part(string name, ISnapshotable part)
    {
        ArgumentNullException.ThrowIfNull(part);
        Enter(name);
        part.Visit(this);
        Leave();
    }

    /// <summary>What waits in a host's object for the guest (a console's unread input, frames), as a part. A machine that repeats a recorded run leaves it as it is.</summary>
    public void Outside(string name, ISnapshotable part)
    {
        ArgumentNullException.ThrowIfNull(part);
        Enter(name);
        if (!TrySkip())
            part.Visit(this);
        Leave();
    }

    /// <summary>Parts of one kind, always as many.</summary>
    public void Parts<T>(string name, Span<T> parts) where T : struct, ISnapshotable
    {
        for (int i = 0; i < parts.Length; i++)
            Part($"{name}{i}", ref parts[i]);
    }

    /// <summary>Refuses what was read where a condition does not hold. What is written holds by construction, and is not checked.</summary>
    /// <param name="holds">The condition.</param>
    /// <param name="name">The field.</param>
    /// <param name="reason">What is wrong with it, as the end of a sentence that begins with its name.</param>
    /// <exception cref="InvalidSnapshotException">The condition does not hold.</exception>
    public void Require(bool holds, string name, string reason)
    {
        if (IsReading && !holds)
            throw new InvalidSnapshotException($"{PathOf(name)} {reason}.");
    }

    private protected string PathOf(string name) => string.Join('.', [.. _parts, name]);

    private protected int Depth => _parts.Count;

    private protected abstract void Visit(string name, StateType type, Span<byte> bytes);

    /// <returns>What is read, or <paramref name="bytes"/>.</returns>
    private protected virtual byte[] VisitAll(string name, byte[] bytes, int most)
    {
        Visit(name, StateType.UInt8, bytes);
        return bytes;
    }

    /// <summary>Passes what waits outside, where it is to stay as it is.</summary>
    /// <returns>Whether it has.</returns>
    private protected virtual bool TrySkip() => false;

    private protected abstract void BeginPart(string name);

    private protected abstract void EndPart();

    private void Enter(string name)
    {
        BeginPart(name);
        _parts.Add(name);
    }

    private void Leave()
    {
        EndPart();
        _parts.RemoveAt(_parts.Count - 1);
    }

    private void Numbers<T>(string name, StateType type, Span<T> values, Func<T, T> reverse) where T : unmanaged
    {
        if (BitConverter.IsLittleEndian)
        {
            Visit(name, type, MemoryMarshal.AsBytes(values));
            return;
        }

        Reverse(values, reverse);
        Visit(name, type, MemoryMarshal.AsBytes(values));
        Reverse(values, reverse);
    }

    private static void Reverse<T>(Span<T> values, Func<T, T> reverse)
    {
        foreach (ref T value in values)
            value = reverse(value);
    }
}

/// <summary>The kinds of records of a saved state.</summary>
internal enum StateType : byte
{
    Part = 1,
    Bool = 2,
    UInt8 = 3,
    UInt16 = 4,
    UInt32 = 5,
    UInt64 = 6,
}
