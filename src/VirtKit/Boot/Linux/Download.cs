using System.Security.Cryptography;

namespace VirtKit.Boot.Linux;

/// <summary>Downloads files: through apt's own helper where there is one, which knows the host's proxies, credentials and mirrors, otherwise by HTTP. What lies under its
/// final name is whole and checked.</summary>
internal sealed class Download(IProgress<FetchProgress>? progress, CancellationToken cancellationToken, bool useApt = true)
{
    /// <summary>The most bytes of a file whose size is not known before.</summary>
    private const long UnknownLimit = 16 << 20;
    private const string AptHelper = "apt-helper";
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200), Silence = TimeSpan.FromSeconds(60);

    /// <summary>Downloads a file of unknown content; its caller checks it.</summary>
    public void Fetch(string uri, string target) => Fetch(uri, target, null, _ => { });

    /// <summary>Downloads a file whose size and SHA-256 are known; one that is there already with that content is left alone.</summary>
    public void Fetch(string uri, string target, long size, string sha256)
    {
        if (File.Exists(target) && Matches(target))
            return;
        Fetch(uri, target, size, path =>
        {
            if (!Matches(path))
                throw new GuestFilesException($"{Path.GetFileName(target)} does not have the size and SHA-256 that its index promises.");
        });

        bool Matches(string path)
        {
            using FileStream file = File.OpenRead(path);
            return file.Length == size && Convert.ToHexStringLower(SHA256.HashData(file)) == sha256;
        }
    }

    public void Tell(string message) => progress?.Report(new FetchProgress(message, 0, null, FetchProgressKind.Message));

    private void Fetch(string uri, string target, long? size, Action<string> check)
    {
        string name = Path.GetFileName(target), part = $"{target}.{Environment.ProcessId}.part";
        long limit = size ?? UnknownLimit;
        try
        {
            if (new Uri(uri) is { IsFile: true } file)
                Receive(() => File.OpenRead(file.LocalPath), part, name, size, limit);
            else if (useApt && HostProgram.Find(AptHelper) is not null)
                RunApt(uri, part, name, size, limit);
            else
                ReceiveHttp(uri, part, name, size, limit).GetAwaiter().GetResult();
            check(part);
            File.Move(part, target, overwrite: true);
            progress?.Report(new FetchProgress(name, new FileInfo(target).Length, size, FetchProgressKind.Received));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UriFormatException)
        {
            throw new GuestFilesException($"{uri}: {e.Message}", e);
        }
        finally
        {
            File.Delete(part);
        }
    }

    private void RunApt(string uri, string part, string name, long? size, long limit)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task download = Task.Run(() => HostProgram.Run(AptHelper, "apt", ["download-file", uri, part], stream => stream.CopyTo(Stream.Null), stop.Token), CancellationToken.None);
        bool tooLong = false;
        while (!Task.WhenAny(download, Task.Delay(Poll, CancellationToken.None)).GetAwaiter().GetResult().Equals(download))
        {
            long length = new FileInfo(part) is { Exists: true } file ? file.Length : 0;
            progress?.Report(new FetchProgress(name, length, size, FetchProgressKind.Receiving));
            if (length > limit && !tooLong)
            {
                tooLong = true;
                stop.Cancel();
            }
        }

        try
        {
            download.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (tooLong && !cancellationToken.IsCancellationRequested)
        {
            throw TooLong(name, limit);
        }
    }

    private async Task ReceiveHttp(string uri, string part, string name, long? size, long limit)
    {
        using var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(Silence);
        try
        {
            using HttpResponseMessage response = await client.GetAsync(new Uri(uri), HttpCompletionOption.ResponseHeadersRead, silence.Token).ConfigureAwait(false);
            response.EnsureSuccessStatusCode();
            using Stream source = await response.Content.ReadAsStreamAsync(silence.Token).ConfigureAwait(false);
            using FileStream target = File.Create(part);
            byte[] buffer = new byte[1 << 16];
            long reported = Environment.TickCount64;
            for (int read; (read = await source.ReadAsync(buffer, silence.Token).ConfigureAwait(false)) > 0;)
            {
                silence.CancelAfter(Silence);
                if (target.Length + read > limit)
                    throw TooLong(name, limit);
                target.Write(buffer.AsSpan(0, read));
                if (Environment.TickCount64 - reported >= Poll.TotalMilliseconds)
                {
                    reported = Environment.TickCount64;
                    progress?.Report(new FetchProgress(name, target.Length, size, FetchProgressKind.Receiving));
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new GuestFilesException($"{uri}: nothing has come for {Silence.TotalSeconds} seconds.");
        }
    }

    private void Receive(Func<Stream> open, string part, string name, long? size, long limit)
    {
        using Stream source = open();
        using FileStream target = File.Create(part);
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = source.Read(buffer)) > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (target.Length + read > limit)
                throw TooLong(name, limit);
            target.Write(buffer.AsSpan(0, read));
            progress?.Report(new FetchProgress(name, target.Length, size, FetchProgressKind.Receiving));
        }
    }

    private static GuestFilesException TooLong(string name, long limit) => new($"{name} is longer than the {limit} bytes that it may have.");
}
