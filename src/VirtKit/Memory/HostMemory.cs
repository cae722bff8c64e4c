using System.Runtime.InteropServices;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Memory;

/// <summary>Page-aligned, zeroed, lazily committed native memory: a memfd mapping on Linux, so that a hypervisor maps it and a fork shares it; elsewhere the
/// allocator's pages. Or an image in a file (<see cref="TryMap"/>).</summary>
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

    /// <summary>What these addresses show, for an image in a file; <see langword="null"/> for memory of the process.</summary>
    private readonly MappedFile? _file;
    private readonly long _fileOffset;

    /// <summary>Whose content these addresses show until something is written to them, page by page; <see langword="null"/> for none.</summary>
    private HostMemory? _origin;

    /// <summary>Who needs the content: its owner, and all memory that shows it. It stays until they have gone.</summary>
    private int _holders = 1;
    private bool _isReleased;
    private readonly Lock _holdersGate = new();

    private HostMemory(byte* pointer, nuint length, bool mapped, int descriptor, MappedFile? file = null, long fileOffset = 0) : base(0, ownsHandle: true)
    {
        SetHandle((nint)pointer);
        _length = length;
        _mapped = mapped;
        _descriptor = descriptor;
        _file = file;
        _fileOffset = fileOffset;
        GC.AddMemoryPressure(Pressure);
    }

    public byte* Pointer => (byte*)handle;

    /// <summary>The memfd or the image's file, or -1 where the host has none or the content was given back.</summary>
    public int FileDescriptor => Volatile.Read(ref _descriptor);

    public override bool IsInvalid => handle == 0;

    /// <summary>Memory that shows the content of other memory, copied page by page as it is written to (copy on write); on a host without that, a copy. Nothing is written to the other
    /// any more.</summary>
    /// <exception cref="VirtKitException">The host cannot map it, or it is in a file that has changed.</exception>
    public static HostMemory ViewOf(HostMemory origin)
    {
        origin._file?.RequireUnchanged();
        if (!origin._mapped)
        {
            HostMemory copy = Allocate(origin._length);
            copy.CopyFrom(origin);
            return copy;
        }

        origin.Hold();
        nint address = mmap(0, origin._length, ProtRead | ProtWrite, MapPrivate | MapNoReserve, origin.FileDescriptor, origin._fileOffset);
        if (address != -1)
            return new HostMemory((byte*)address, origin._length, mapped: true, -1) { _origin = origin };
        VirtKitException failure = CannotMap(origin._length);
        origin.Release();
        throw failure;
    }

    /// <summary>An image in a file, which is read where it is used. Nobody writes to it; views of it can be written to.</summary>
    /// <param name="file">The file, which is kept open until the image and all its views have gone.</param>
    /// <param name="offset">Where the image begins in it, at a page's beginning.</param>
    /// <param name="length">The image's length in bytes, which the file has there.</param>
    /// <returns>The image, or <see langword="null"/> where the host does not map the file.</returns>
    public static HostMemory? TryMap(MappedFile file, long offset, nuint length)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        nint address = mmap(0, length, ProtRead, MapPrivate | MapNoReserve, file.Descriptor, offset);
        if (address == -1)
            return null;
        file.Hold();
        return new HostMemory((byte*)address, length, mapped: true, file.Descriptor, file, offset);
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
            return FileRanges();
        return ProcessPages.TryFindPrivate(handle, (long)_length, out List<(long Offset, long Length)> own) ? Merge(origin.FileRanges(), own) : [(0, (long)_length)];
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
        CloseContent();
        Interlocked.Exchange(ref _origin, null)?.Release();
    }

    private bool CloseContent()
    {
        if (Interlocked.Exchange(ref _descriptor, -1) is not (>= 0 and var descriptor))
            return true;
        if (_file is null)
            return close(descriptor) == 0;
        _file.Release();
        return true;
    }

    /// <summary>The pages that the file has; all of them where its file system does not tell.</summary>
    private IEnumerable<(long Offset, long Length)> FileRanges()
    {
        const long Page = (long)AddressSpace.PageSize;
        long last = _fileOffset + (long)_length;
        for (long at = _fileOffset; at < last;)
        {
            long start = lseek(_descriptor, at, SeekData);
            if (start >= last || (start < 0 && Marshal.GetLastPInvokeError() == NoSuchAddress))
                yield break;
            // The file system's blocks may be shorter than pages.
            start = start < 0 ? at : start / Page * Page;
            long hole = lseek(_descriptor, start, SeekHole);
            at = hole < 0 ? last : Math.Min(last, (hole + Page - 1) / Page * Page);
            yield return (start - _fileOffset, at - start);
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
        return CloseContent() && unmapped;
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
