using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VirtKit.Accel.Kvm;

/// <summary>An event of the kernel (<c>eventfd</c>) that is bound to a machine: a doorbell that the guest rings, or an interrupt that the host raises.
/// Thread-safe. Once its machine is gone it rings for nobody.</summary>
public sealed unsafe partial class KvmEvent : IDisposable
{
    private readonly KvmDescriptor _descriptor;
    private readonly Action<int>? _unbind;
    private int _disposed;

    internal KvmEvent(Action<int> bind, Action<int>? unbind = null)
    {
        int number = Libc.eventfd(0, Libc.EfdCloexec | Libc.EfdNonblock);
        if (number < 0)
            throw new VirtKitException($"The host has no event to give: {Libc.Message(Marshal.GetLastPInvokeError())}.");
        _descriptor = new KvmDescriptor(number);
        _unbind = unbind;
        try
        {
            bind(number);
        }
        catch
        {
            _descriptor.Dispose();
            throw;
        }
    }

    /// <summary>The descriptor, for an event loop that waits on it. Owned by this object.</summary>
    public SafeHandle Descriptor => _descriptor;

    /// <summary>Signals the event.</summary>
    /// <exception cref="ObjectDisposedException">The event has been disposed of.</exception>
    public void Signal()
    {
        ulong one = 1;
        _ = write(_descriptor, &one, 8);
    }

    /// <summary>Takes the signals that have come.</summary>
    /// <returns>How many, 0 where none has.</returns>
    /// <exception cref="ObjectDisposedException">The event has been disposed of.</exception>
    public ulong Take()
    {
        ulong count = 0;
        return read(_descriptor, &count, 8) == 8 ? count : 0;
    }

    /// <summary>Unbinds and closes the event. Any thread, any number of times; one that is forgotten is closed by its finalizer, and unbound with its machine.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _unbind?.Invoke(_descriptor.Number);
        _descriptor.Dispose();
    }

    [LibraryImport("libc")]
    private static partial nint write(SafeHandle descriptor, void* bytes, nuint count);

    [LibraryImport("libc")]
    private static partial nint read(SafeHandle descriptor, void* bytes, nuint count);
}
