using System.Runtime.InteropServices;
using static VirtKit.Memory.LinuxMemory;

namespace VirtKit.Memory;

/// <summary>Content that several memories show: an image, held by snapshots and by the views that are made of it.</summary>
internal sealed unsafe partial class HostMemory
{
    /// <summary>Whose content these addresses show until something is written to them, page by page; <see langword="null"/> for none.</summary>
    private HostMemory? _origin;

    /// <summary>Who needs the content: its owner, and all memory that shows it. It stays until they have gone.</summary>
    private int _holders = 1;
    private bool _isReleased;
    private readonly Lock _holdersGate = new();

    /// <summary>The memory that shows this content, or did once.</summary>
    private readonly List<WeakReference<HostMemory>> _views = [];

    /// <summary>How many bytes of its origin this memory had replaced when the host was given back those.</summary>
    private long _dropped;

    /// <summary>How much is held twice before it is worth the host's calls.</summary>
    private const long DropDistance = 4 << 20;

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
        {
            var view = new HostMemory((byte*)address, origin._length, mapped: true, -1) { _origin = origin };
            origin.Attach(view);
            return view;
        }

        VirtKitException failure = CannotMap(origin._length);
        origin.Release();
        throw failure;
    }

    /// <summary>Gives these addresses the content of a view, which then has none any more: its pages, or a copy where the host does not move them, so that it always succeeds. Nobody uses
    /// either meanwhile.</summary>
    /// <param name="view">A view of memory of the same length, that nobody shows.</param>
    public void TakeOver(HostMemory view)
    {
        // SAFETY: both ranges are mappings of these objects; who holds an address in this one finds the new content there. A process that has nearly as many mappings as the host allows is
        // refused: moving one may take a few more for a moment.
        if (!_mapped || mremap(view.handle, _length, _length, MremapMayMove | MremapFixed, handle) == -1)
        {
            Replace(view);
            view.Discard();
            return;
        }

        GC.RemoveMemoryPressure(Pressure);
        view.SetHandleAsInvalid();
        HostMemory? origin = Interlocked.Exchange(ref view._origin, null);
        Interlocked.Exchange(ref _origin, origin)?.Release();
        origin?.Attach(this);
        _dropped = 0;
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
        image.Attach(this);
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
        IEnumerable<(long Offset, long Length)> ranges = [(offset, length)];
        if (_mapped && _origin is { } origin)
        {
            // What the other memory has there shows again when the own pages go, and has to be overwritten.
            if (madvise(handle + (nint)offset, (nuint)length, MadvDontNeed) != 0)
                throw CannotMap((nuint)length);
            ranges = origin.DataRanges(offset, length);
        }

        foreach ((long start, long size) in ranges)
            NativeMemory.Clear(Pointer + start, (nuint)size);
    }

    /// <summary>Copies content over what is here.</summary>
    private void Replace(HostMemory content)
    {
        foreach ((long offset, long length) in DataRanges())
            NativeMemory.Clear(Pointer + offset, (nuint)length);
        CopyFrom(content);
    }

    /// <summary>Has the content again that it was made from (<see cref="ViewOf"/>), without what was written since. Nobody uses the addresses meanwhile.</summary>
    /// <param name="origin">The content, which the caller holds.</param>
    public void Revert(HostMemory origin)
    {
        if (!Shows(origin))
        {
            Replace(origin);
        }
        else if (madvise(handle, _length, MadvDontNeed) != 0)
        {
            // SAFETY: the range was this object's own private mapping.
            throw CannotMap(_length);
        }
    }

    /// <summary>Whether these addresses show the content of other memory, but for what was written since.</summary>
    public bool Shows(HostMemory other) => ReferenceEquals(_origin, other);

    /// <summary>Finds the pages that were written to since these addresses show other memory.</summary>
    /// <param name="ranges">The pages, in ascending order, neighbours together.</param>
    /// <returns>Whether the host tells.</returns>
    public bool TryFindOwnPages(out List<(long Offset, long Length)> ranges) => ProcessPages.TryFindPrivate(handle, (long)_length, out ranges);

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
            if (--_holders == 1 && !_isReleased)
                DropReplaced();
            if (_holders != 0 || _isReleased)
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

    /// <summary>Notes who shows this content, and holds it.</summary>
    private void Attach(HostMemory view)
    {
        lock (_holdersGate)
        {
            if (_views.Count > 2 * _holders + 16)
                _views.RemoveAll(known => !known.TryGetTarget(out HostMemory? other) || !ReferenceEquals(other._origin, this));
            _views.Add(new WeakReference<HostMemory>(view));
        }
    }

    /// <summary>Gives the host back the pages of an image that nobody can see any more: those that its last holder, a view, has replaced by its own. Where several views are left, each may see
    /// what another one has replaced, and all stays. Under the gate, so that nobody captures the view meanwhile.</summary>
    private void DropReplaced()
    {
        HostMemory? view = null;
        if (_file is not null || !_views.Any(known => known.TryGetTarget(out view) && ReferenceEquals(view._origin, this)) || !view!.TryFindOwnPages(out List<(long Offset, long Length)> ranges))
            return;
        // TIMING POINT 1: the view's machine may run. A page that is its own stays so as long as the view shows this content, and one that becomes its own now is found the next time.
        long replaced = ranges.Sum(range => range.Length);
        if (replaced < view._dropped + DropDistance)
            return;
        view._dropped = replaced;
        // The addresses that show the image keep what is mapped privately; it reads as zeroes itself from here on, and a later capture compares with these.
        foreach ((long offset, long length) in ranges)
            _ = fallocate(_descriptor, FallocateKeepSize | FallocatePunchHole, offset, length);
    }
}
