namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>The keys on their way to the guest. Ctrl-A x leaves, Ctrl-A s saves, Ctrl-A Ctrl-A sends one Ctrl-A; another key after Ctrl-A is sent with it.</summary>
/// <param name="keys">The keys as they are typed.</param>
/// <param name="leave">Leaves.</param>
/// <param name="save">Saves; <see langword="null"/> where nothing can be saved, and Ctrl-A s is sent.</param>
internal sealed class EscapeStream(Stream keys, Action leave, Action? save = null) : Stream
{
    private const byte CtrlA = 1;
    private bool _escaped;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        // A held Ctrl-A may come out before what is read now: room for it is kept.
        byte[] read = new byte[buffer.Length / 2];
        while (true)
        {
            int length = keys.Read(read);
            if (length == 0)
                return 0;
            int count = 0;
            foreach (byte key in read.AsSpan(0, length))
            {
                if (!_escaped && key == CtrlA)
                {
                    _escaped = true;
                    continue;
                }

                Action? command = _escaped ? CommandOf(key) : null;
                if (command is null)
                {
                    if (_escaped && key != CtrlA)
                        buffer[count++] = CtrlA;
                    buffer[count++] = key;
                }

                _escaped = false;
                command?.Invoke();
            }

            if (count > 0)
                return count;
        }
    }

    private Action? CommandOf(byte key) => key switch { (byte)'x' => leave, (byte)'s' => save, _ => null };

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
