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
internal sealed unsafe partial class HostMemory : SafeHandle
{
    private readonly nuint _length;
    private readonly bool _mapped;
    private int _descriptor;
    private int _discarded;

    /// <summary>What these addresses show, for an image in a file; <see langword="null"/> for memory of the process.</summary>
    private readonly MappedFile? _file;
    private readonly long _fileOffset;

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

    /// <summary>The length in bytes.</summary>
    public ulong Length => _length;

    /// <summary>The memfd or the image's file, or -1 where the host has none or the content was given back.</summary>
    public int FileDescriptor => Volatile.Read(ref _descriptor);

    public override bool IsInvalid => handle == 0;

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
            return FileRanges(0, (long)_length);
        return ProcessPages.TryFindPrivate(handle, (long)_length, out List<(long Offset, long Length)> own) ? Merge(origin.FileRanges(0, (long)_length), own) : [(0, (long)_length)];
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

    private bool CloseContent()
    {
        if (Interlocked.Exchange(ref _descriptor, -1) is not (>= 0 and var descriptor))
            return true;
        if (_file is null)
            return close(descriptor) == 0;
        _file.Release();
        return true;
    }

    /// <summary>As <see cref="DataRanges()"/>, within a range of an image. Who reads an image elsewhere makes the host keep pages of zeroes for it.</summary>
    public IEnumerable<(long Offset, long Length)> DataRanges(long offset, long length) => _mapped ? FileRanges(offset, length) : [(offset, length)];

    /// <summary>The pages that the file has in a range; all of them where its file system does not tell.</summary>
    private IEnumerable<(long Offset, long Length)> FileRanges(long offset, long length)
    {
        const long Page = (long)AddressSpace.PageSize;
        long last = _fileOffset + offset + length;
        for (long at = _fileOffset + offset; at < last;)
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
