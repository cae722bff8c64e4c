namespace VirtKit.Tests.Devices.Support;

/// <summary>A stream that takes nothing until it is resumed: a pipe that nobody reads, a terminal stopped by Ctrl-S. It counts what it was given.</summary>
internal sealed class StalledStream : Stream
{
    private readonly ManualResetEventSlim _resumed = new();
    private readonly List<byte> _written = [];

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>What was taken so far.</summary>
    public byte[] Written
    {
        get
        {
            lock (_written)
                return [.. _written];
        }
    }

    /// <summary>Whether somebody waits inside a write.</summary>
    public bool IsEntered { get; private set; }

    public void Resume() => _resumed.Set();

    public override void Write(byte[] buffer, int offset, int count)
    {
        IsEntered = true;
        _resumed.Wait();
        lock (_written)
            _written.AddRange(buffer.AsSpan(offset, count));
    }

    public override void Flush() { }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _resumed.Set();
        base.Dispose(disposing);
    }
}
