namespace VirtKit.Tests.Devices.Support;

/// <summary>A stream whose every read, write or flush throws what it is given.</summary>
internal sealed class FailingStream(Func<Exception> error, bool onFlush = false) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw error();

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (!onFlush)
            throw error();
    }

    public override void Flush() => throw error();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
