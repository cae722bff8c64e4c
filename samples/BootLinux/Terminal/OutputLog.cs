namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>The last 64 KiB of the serial line where nobody watches it: told when the guest ends other than it should.</summary>
internal sealed class OutputLog
{
    private const int Capacity = 64 << 10;
    private readonly Queue<byte> _bytes = new(Capacity);

    public int Append(ReadOnlySpan<byte> bytes)
    {
        lock (_bytes)
        {
            foreach (byte b in bytes)
            {
                if (_bytes.Count == Capacity)
                    _bytes.Dequeue();
                _bytes.Enqueue(b);
            }
        }

        return bytes.Length;
    }

    public byte[] ToArray()
    {
        lock (_bytes)
            return [.. _bytes];
    }
}
