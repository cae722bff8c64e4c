using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VirtKit.Accel.Kvm;

/// <summary>A descriptor of one of the interface's layers: the system (<c>/dev/kvm</c>), a virtual machine, a vCPU, or an event.</summary>
internal sealed unsafe class KvmDescriptor : SafeHandleMinusOneIsInvalid
{
    public KvmDescriptor(int descriptor) : base(ownsHandle: true) => SetHandle(descriptor);

    public int Number => (int)handle;

    /// <summary>Issues a request. One to a descriptor that has been closed fails: its number may be another machine's by now.</summary>
    /// <returns>The kernel's answer, 0 or more, or the error number, negated.</returns>
    public int TryCall(nuint request, nint argument)
    {
        if (IsClosed)
            return -Libc.Ebadf;
        bool held = false;
        try
        {
            DangerousAddRef(ref held);
            int result;
            do
                result = Libc.ioctl(Number, request, argument);
            while (result < 0 && Marshal.GetLastPInvokeError() == Libc.Eintr);
            return result < 0 ? -Marshal.GetLastPInvokeError() : result;
        }
        catch (ObjectDisposedException)
        {
            return -Libc.Ebadf;
        }
        finally
        {
            if (held)
                DangerousRelease();
        }
    }

    /// <inheritdoc cref="TryCall(nuint, nint)"/>
    public int TryCall<T>(nuint request, ref T argument) where T : unmanaged
    {
        // SAFETY: the kernel reads and writes the structure that the request names; a test holds its size and offsets to the headers.
        fixed (T* pointer = &argument)
            return TryCall(request, (nint)pointer);
    }

    /// <summary>Issues a request that has to succeed.</summary>
    /// <param name="request">The request.</param>
    /// <param name="argument">Its argument.</param>
    /// <param name="purpose">What it is for, as in "the kernel refuses to …".</param>
    /// <exception cref="VirtKitException">The kernel refuses.</exception>
    public int Call(nuint request, nint argument, string purpose) => Check(TryCall(request, argument), purpose);

    /// <inheritdoc cref="Call(nuint, nint, string)"/>
    public int Call<T>(nuint request, ref T argument, string purpose) where T : unmanaged => Check(TryCall(request, ref argument), purpose);

    protected override bool ReleaseHandle() => Libc.close(Number) == 0;

    private static int Check(int result, string purpose) =>
        result >= 0 ? result : throw new VirtKitException($"KVM refuses to {purpose}: {Libc.Message(-result)}.");
}
