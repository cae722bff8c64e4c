using System.Runtime.InteropServices;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Memory;

/// <summary>Page-aligned, zeroed, lazily committed native memory: a memfd mapping on Linux, so that a hypervisor maps it and a fork shares it; elsewhere the
/// allocator's pages.</summary>
/// <remarks>
/// It goes in two steps, because a span may be in use on a thread that nobody knows of. <see cref="Discard"/> gives the content and the descriptor back at once, but the
/// addresses stay mapped, to other pages: a late store goes nowhere instead of into memory that belongs to somebody else by then. The finalizer gives the addresses back
/// when nothing refers to the memory any more. So this handle is never disposed of; whoever uses the pointer keeps a reference to it meanwhile.
/// </remarks>
internal sealed unsafe class HostMemory : SafeHandle
{
    private readonly nuint _length;
    private readonly bool _mapped;
    private int _descriptor;
    private int _discarded;

    /// <summary>Whose content these addresses show until something is written to them, page by page; <see langword="null"/> for none.</summary>
    private HostMemory? _origin;

    /// <summary>Who needs the content: its owner, and all memory that shows it. It stays until they have gone.</summary>
    private int _holders = 1;
    private bool _isReleased;
    private readonly Lock _holdersGate = new();

    private HostMemory(byte* pointer, nuint length, bool mapped, int descriptor) : base(0, ownsHandle: true)
    {
        SetHandle((nint)pointer);
        _length = length;
        _mapped = mapped;
        _descriptor = descriptor;
        GC.AddMemoryPressure(Pressure);
    }

    public byte* Pointer => (byte*)handle;

    /// <summary>The length in bytes.</summary>
    public ulong Length => _length;

    /// <summary>The memfd, or -1 where the host has none or the content was given back.</summary>
    public int FileDescriptor => Volatile.Read(ref _descriptor);

    public override bool IsInvalid => handle == 0;

    /// <summary>Memory that shows the content of other memory, copied page by page as it is written to (copy on write); on a host without that, a copy. Nothing is written to the other
    /// any more.</summary>
    /// <exception cref="VirtKitException">The host cannot map it.</exception>
    public static HostMemory ViewOf(HostMemory origin)
    {
        if (!origin._mapped)
        {
            HostMemory copy = Allocate(origin._length);
            copy.CopyFrom(origin);
            return copy;
        }

        origin.Hold();
        nint address = mmap(0, origin._length, ProtRead | ProtWrite, MapPrivate | MapNoReserve, origin.FileDescriptor, 0);
        if (address != -1)
            return new HostMemory((byte*)address, origin._length, mapped: true, -1) { _origin = origin };
        VirtKitException failure = CannotMap(origin._length);
        origin.Release();
        throw failure;
    }

    /// <summary>Gives these addresses the pages of a view, which then has none any more. Nobody uses either meanwhile.</summary>
    /// <param name="view">A view of memory of the same length, that nobody shows.</param>
    public void TakeOver(HostMemory view)
    {
        if (!_mapped)
        {
            new Span<byte>(Pointer, checked((int)_length)).Clear();
            CopyFrom(view);
            view.Discard();
            return;
        }

        // SAFETY: both ranges are mappings of these objects; who holds an address in this one finds the new content there.
        if (mremap(view.handle, _length, _length, MremapMayMove | MremapFixed, handle) == -1)
            throw CannotMap(_length);
        GC.RemoveMemoryPressure(Pressure);
        view.SetHandleAsInvalid();
        Interlocked.Exchange(ref _origin, Interlocked.Exchange(ref view._origin, null))?.Release();
        // The pages that these addresses had before.
        if (Interlocked.Exchange(ref _descriptor, -1) is >= 0 and var own)
            _ = close(own);
    }

    /// <summary>The content of this moment, for others to show: these addresses show it themselves from here on, as a view does, and nothing is copied for it now.
    /// Where they show something already it is that, and <see cref="TryFindOwnPages"/> tells what has changed since. A store of another thread's meanwhile is
    /// either in it or behind it.</summary>
    /// <returns>The content, which the caller releases.</returns>
    public HostMemory Freeze()
    {
        if (_origin is { } origin)
        {
            origin.Hold();
            return origin;
        }

        if (!_mapped)
        {
            HostMemory copy = Allocate(_length);
            copy.CopyFrom(this);
            return copy;
        }

        nint address = mmap(0, _length, ProtRead, MapShared | MapNoReserve, _descriptor, 0);
        if (address == -1)
            throw CannotMap(_length);
        var image = new HostMemory((byte*)address, _length, mapped: true, _descriptor);
        // SAFETY: the range is this object's own mapping, and its content stays the same.
        if (mmap(handle, _length, ProtRead | ProtWrite, MapPrivate | MapFixed | MapNoReserve, _descriptor, 0) == -1)
        {
            VirtKitException failure = CannotMap(_length);
            // The descriptor stays this object's.
            image._descriptor = -1;
            image.Discard();
            throw failure;
        }

        _descriptor = -1;
        image.Hold();
        _origin = image;
        return image;
    }

    /// <summary>Other memory with the same content. Nobody writes meanwhile.</summary>
    /// <exception cref="VirtKitException">The host has no such memory.</exception>
    public HostMemory Copy()
    {
        HostMemory copy = Allocate(_length);
        copy.CopyFrom(this);
        return copy;
    }

    /// <summary>Zeroes whole pages, and gives those back that nothing else shows.</summary>
    public void Zero(long offset, long length)
    {
        long end = offset + length;
        if (_mapped && _origin is { } origin)
        {
            // What the other memory has there shows again when the own pages go, and has to be overwritten.
            if (madvise(handle + (nint)offset, (nuint)length, MadvDontNeed) != 0)
                throw CannotMap((nuint)length);
            foreach ((long start, long size) in FileRanges(origin.FileDescriptor, offset, end))
                new Span<byte>(Pointer + start, checked((int)size)).Clear();
            return;
        }

        for (; offset < end; offset += 1 << 30)
            new Span<byte>(Pointer + offset, (int)Math.Min(end - offset, 1 << 30)).Clear();
    }

    /// <summary>Shows the content of the other memory again, without what was written since (<see cref="ViewOf"/>). Nobody uses the addresses meanwhile.</summary>
    public void Revert()
    {
        if (_origin is not { } origin)
            throw new InvalidOperationException("The memory shows no other.");
        // SAFETY: the range is this object's own private mapping.
        if (madvise(handle, _length, MadvDontNeed) != 0)
            throw CannotMap(_length);
        GC.KeepAlive(origin);
    }

    /// <summary>Whether these addresses show the content of other memory, but for what was written since.</summary>
    public bool Shows(HostMemory other) => ReferenceEquals(_origin, other);

    /// <summary>Finds the pages that were written to since these addresses show other memory.</summary>
    /// <param name="ranges">The pages, in ascending order, neighbours together.</param>
    /// <returns>Whether the host tells.</returns>
    public bool TryFindOwnPages(out List<(long Offset, long Length)> ranges) => ProcessPages.TryFindPrivate(handle, (long)_length, out ranges);

    private static VirtKitException CannotMap(nuint length) => new($"The host cannot map {length} bytes of a snapshot: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    /// <summary>Copies what is not zero; the rest is zero already.</summary>
    private void CopyFrom(HostMemory origin)
    {
        foreach ((long offset, long length) in origin.DataRanges())
            Buffer.MemoryCopy(origin.Pointer + offset, Pointer + offset, length, length);
    }

    /// <summary>Takes content from elsewhere. Nobody else writes meanwhile.</summary>
    public void Fill(long offset, ReadOnlySpan<byte> content)
    {
        int done = 0;
        fixed (byte* bytes = content)
        {
            // Into the file rather than through the mapping, which would fault for each page.
            while (_descriptor >= 0 && done < content.Length && pwrite(_descriptor, bytes + done, (nuint)(content.Length - done), offset + done) is > 0 and var count)
                done += (int)count;
        }

        content[done..].CopyTo(new Span<byte>(Pointer + offset + done, content.Length - done));
    }

    /// <summary>The ranges that may hold something else than zeroes, in ascending order and in whole pages. Nobody writes meanwhile.</summary>
    public IEnumerable<(long Offset, long Length)> DataRanges()
    {
        if (!_mapped)
            return [(0, (long)_length)];
        if (_origin is not { } origin)
            return FileRanges(_descriptor);
        return ProcessPages.TryFindPrivate(handle, (long)_length, out List<(long Offset, long Length)> own) ? Merge(FileRanges(origin.FileDescriptor), own) : [(0, (long)_length)];
    }

    public static HostMemory Allocate(ulong length)
    {
        if (TryAllocate(length, out _) is { } memory)
            return memory;
        // Memory, descriptors and addresses of machines that nobody disposed of come back with their finalizers.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return TryAllocate(length, out string? reason)
            ?? throw new VirtKitException($"The host cannot map {length} bytes of guest memory: {reason}.");
    }

    /// <summary>The owner's release: gives content and descriptor back to the host once nobody else holds them. The addresses hold unspecified bytes from then on. Idempotent;
    /// any thread.</summary>
    public void Discard()
    {
        if (Interlocked.Exchange(ref _discarded, 1) == 0)
            Release();
    }

    /// <summary>Keeps the content until <see cref="Release"/>.</summary>
    /// <exception cref="ObjectDisposedException">It was given back.</exception>
    public void Hold()
    {
        lock (_holdersGate)
        {
            ObjectDisposedException.ThrowIf(_holders == 0, typeof(State.MachineSnapshot));
            _holders++;
        }
    }

    /// <summary>Ends what <see cref="Hold"/> began.</summary>
    public void Release()
    {
        lock (_holdersGate)
        {
            // Finalizers of both come in any order.
            if (--_holders != 0 || _isReleased)
                return;
        }

        if (!_mapped)
        {
            // The allocator's pages stay until the finalizer; this makes the collector come for them.
            GC.AddMemoryPressure((long)_length);
            return;
        }

        // SAFETY: the range is this object's own mapping. Where the host refuses, the old pages stay until the finalizer.
        _ = mmap(handle, _length, ProtRead | ProtWrite, MapPrivate | MapFixed | MapAnonymous | MapNoReserve, -1, 0);
        if (Interlocked.Exchange(ref _descriptor, -1) is >= 0 and var descriptor)
            _ = close(descriptor);
        Interlocked.Exchange(ref _origin, null)?.Release();
    }

    private static IEnumerable<(long Offset, long Length)> FileRanges(int descriptor, long from = 0, long to = long.MaxValue)
    {
        for (long end = from; lseek(descriptor, end, SeekData) is >= 0 and var start && start < to;)
        {
            end = lseek(descriptor, start, SeekHole);
            yield return (start, Math.Min(end, to) - start);
        }
    }

    /// <summary>The union of two ascending lists of ranges.</summary>
    public static IEnumerable<(long Offset, long Length)> Merge(IEnumerable<(long Offset, long Length)> first, IEnumerable<(long Offset, long Length)> second)
    {
        (long Offset, long Length) last = default;
        foreach ((long offset, long length) in first.Concat(second).OrderBy(range => range.Offset))
        {
            long end = last.Offset + last.Length;
            if (last.Length != 0 && offset <= end)
            {
                last.Length = Math.Max(end, offset + length) - last.Offset;
                continue;
            }

            if (last.Length != 0)
                yield return last;
            last = (offset, length);
        }

        if (last.Length != 0)
            yield return last;
    }

    protected override bool ReleaseHandle()
    {
        GC.RemoveMemoryPressure(Pressure);
        if (!_mapped)
        {
            if (_holders == 0)
                GC.RemoveMemoryPressure((long)_length);
            NativeMemory.AlignedFree((void*)handle);
            return true;
        }

        lock (_holdersGate)
            _isReleased = true;
        bool unmapped = munmap(handle, _length) == 0;
        Interlocked.Exchange(ref _origin, null)?.Release();
        return (_descriptor < 0 || close(_descriptor) == 0) && unmapped;
    }

    private static HostMemory? TryAllocate(ulong length, out string? reason)
    {
        reason = null;
        if (OperatingSystem.IsLinux())
        {
            int descriptor = memfd_create("virtkit", MfdCloexec);
            if (descriptor >= 0 && ftruncate(descriptor, (long)length) == 0)
            {
                nint address = mmap(0, (nuint)length, ProtRead | ProtWrite, MapShared | MapNoReserve, descriptor, 0);
                if (address != -1)
                    return new HostMemory((byte*)address, (nuint)length, mapped: true, descriptor);
            }

            reason = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
            if (descriptor >= 0)
                _ = close(descriptor);
            return null;
        }

        try
        {
            void* pointer = NativeMemory.AlignedAlloc((nuint)length, 4096);
            NativeMemory.Clear(pointer, (nuint)length);
            return new HostMemory((byte*)pointer, (nuint)length, mapped: false, -1);
        }
        catch (OutOfMemoryException e)
        {
            reason = e.Message;
            return null;
        }
    }

    /// <summary>What a mapping and a descriptor weigh for the collector, which does not see the pages that the guest touches.</summary>
    private const long Pressure = 64 << 10;
}
