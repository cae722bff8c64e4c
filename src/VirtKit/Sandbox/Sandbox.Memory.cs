using System.Runtime.CompilerServices;
using VirtKit.Boot;

namespace VirtKit.Sandboxing;

/// <summary>The guest's memory as the host sees it.</summary>
public sealed unsafe partial class Sandbox
{
    /// <summary>What the host passes and is larger does not go onto the stack.</summary>
    private const ulong LargestOnStack = 16 << 10;

    /// <summary>A view of the guest's memory, never a copy. Good until the next call, <see cref="Reset()"/> or <see cref="Dispose"/>; used by the thread whose call is under way, or by
    /// one at a time while none is.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="length">Bytes, 0 or more.</param>
    /// <param name="span">The view, or an empty one.</param>
    /// <returns>Whether the guest can read all of it.</returns>
    /// <exception cref="ObjectDisposedException">The sandbox has been disposed of.</exception>
    public bool TryGetSpan(Gva address, int length, out ReadOnlySpan<byte> span)
    {
        bool found = TryReach(address, length, ElfAccess.Read, out Span<byte> bytes);
        span = bytes;
        return found;
    }

    /// <summary>As <see cref="TryGetSpan"/>, of memory that the guest can write.</summary>
    /// <inheritdoc cref="TryGetSpan"/>
    public bool TryGetWritableSpan(Gva address, int length, out Span<byte> span) => TryReach(address, length, ElfAccess.Read | ElfAccess.Write, out span);

    /// <summary>Bytes of the guest's memory that the caller knows to be there.</summary>
    internal Span<byte> Bytes(ulong address, ulong length)
    {
        // SAFETY: the range lies in the window, as its maker has found out.
        return new Span<byte>(_cpu!.Memory + address, (int)length);
    }

    /// <summary>Bytes at a pointer of the guest's.</summary>
    /// <exception cref="GuestPointerException">The guest may not access all of them so.</exception>
    internal Span<byte> Checked(ulong address, ulong length, ElfAccess access)
    {
        if (length > int.MaxValue || !Space.Allows(address, length, access))
            throw new GuestPointerException(address + Space.Reach(address, length, access), access);
        return length == 0 ? default : Bytes(address, length);
    }

    /// <summary>Makes room for what the host passes in a call: on the stack, or in pages that are mapped until the call ends.</summary>
    internal ulong AllocateForCall(ref ulong stack, ulong bytes)
    {
        ulong at = stack - bytes & ~15UL;
        if (bytes <= LargestOnStack && stack > Layout.StackStart + bytes && Space.Allows(at, bytes, ElfAccess.Read | ElfAccess.Write))
            return stack = at;
        if (!TryMap(bytes, out at))
            throw new SandboxLimitException(SandboxLimit.Memory, $"The arguments of the call, {bytes} bytes, do not fit into the sandbox's memory.");
        _callMemory.Add(new Execution.UserRange(at, at + SandboxLayout.RoundUp(bytes), ElfAccess.Read | ElfAccess.Write));
        return at;
    }

    /// <summary>Maps zeroed pages, if there are addresses and the limit allows it.</summary>
    internal bool TryMap(ulong bytes, out ulong address)
    {
        address = 0;
        ulong length = SandboxLayout.RoundUp(bytes);
        if (bytes == 0 || bytes > Layout.Size || Space.Mapped + length > _program.Options.Memory || !Space.TryFindFree(length, Layout.HeapStart, Layout.HeapEnd, out address))
            return false;
        Space.Map(address, length, ElfAccess.Read | ElfAccess.Write);
        return true;
    }

    /// <summary>Takes pages of the heap away; what is not mapped is left alone.</summary>
    /// <exception cref="GuestPointerException">They are not pages of the heap.</exception>
    internal void Unmap(ulong address, ulong bytes)
    {
        ulong length = SandboxLayout.RoundUp(bytes);
        if (address != SandboxLayout.PageOf(address) || length > Layout.HeapEnd - Layout.HeapStart || address < Layout.HeapStart || address > Layout.HeapEnd - length)
            throw new GuestPointerException(address, ElfAccess.Write);
        // Pages are zero when they are mapped the next time.
        _cpu!.Window.Zero((long)address, (long)length);
        Space.Map(address, length, ElfAccess.None);
    }

    /// <summary>A result that no register holds.</summary>
    internal void Result<T>(ulong a0, ulong a1, ulong reserved, scoped ref T value) where T : allows ref struct
    {
        try
        {
            if (typeof(T) == typeof(string))
                Unsafe.As<T, string?>(ref value) = HostCall.ReadText(this, a0);
            else if (typeof(T) == typeof(byte[]))
                Unsafe.As<T, byte[]>(ref value) = Checked(a0, a1, ElfAccess.Read).ToArray();
            else if (typeof(T) == typeof(ReadOnlyMemory<byte>))
                Unsafe.As<T, ReadOnlyMemory<byte>>(ref value) = Checked(a0, a1, ElfAccess.Read).ToArray();
            else if (GuestTypes.IsSpan<T>())
                GuestTypes.FromBytes(Checked(a0, checked(a1 * (ulong)GuestTypes.ElementSize<T>()), GuestTypes.IsWritableSpan<T>() ? ElfAccess.Write : ElfAccess.Read), out value);
            else
                Checked(reserved, (ulong)Unsafe.SizeOf<T>(), ElfAccess.Read).CopyTo(GuestTypes.BytesOf(ref value));
        }
        catch (Exception e) when (e is GuestPointerException or OverflowException)
        {
            throw Fail(new SandboxException($"The guest returned what is not in its memory: 0x{a0:x}, length {a1}."));
        }
    }

    private bool TryReach(Gva address, int length, ElfAccess access, out Span<byte> span)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        bool reachable = length >= 0 && Space.Allows(address.Value, (ulong)length, access);
        span = reachable && length > 0 ? Bytes(address.Value, (ulong)length) : default;
        return reachable;
    }

    private void FreeCallMemory(int from)
    {
        for (int i = _callMemory.Count - 1; i >= from; i--)
        {
            Unmap(_callMemory[i].Start, _callMemory[i].End - _callMemory[i].Start);
            _callMemory.RemoveAt(i);
        }
    }
}
