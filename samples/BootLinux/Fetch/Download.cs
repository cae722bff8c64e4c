using System.Globalization;
using System.Security.Cryptography;

namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>Downloads through apt's own helper, which knows the host's proxies, credentials and mirrors. What lies under its final name is whole and checked.</summary>
internal sealed class Download(TextWriter progress)
{
    /// <summary>Downloads a file of unknown content; its caller checks it.</summary>
    public void Fetch(string uri, string target) => Fetch(uri, target, 0, _ => { });

    /// <summary>Downloads a file whose size and SHA-256 are known; one that is there already with that content is left alone.</summary>
    public void Fetch(string uri, string target, long size, string sha256)
    {
        if (File.Exists(target) && Matches(target))
            return;
        Fetch(uri, target, size, path =>
        {
            if (!Matches(path))
                throw new FetchException($"{Path.GetFileName(target)} does not have the size and SHA-256 that its index promises");
        });

        bool Matches(string path)
        {
            using FileStream file = File.OpenRead(path);
            return file.Length == size && Convert.ToHexStringLower(SHA256.HashData(file)) == sha256;
        }
    }

    private void Fetch(string uri, string target, long size, Action<string> check)
    {
        string name = Path.GetFileName(target), part = $"{target}.{Environment.ProcessId}.part";
        try
        {
            Task download = Task.Run(() => HostProgram.Run("apt-helper", "download-file", uri, part));
            while (!download.Wait(200))
                Report(name, part, size);
            check(part);
            File.Move(part, target, overwrite: true);
            Report(name, target, size);
            progress.WriteLine();
        }
        catch (AggregateException e) when (e.InnerException is FetchException inner)
        {
            throw inner;
        }
        finally
        {
            File.Delete(part);
        }
    }

    private void Report(string name, string path, long size)
    {
        long length = new FileInfo(path) is { Exists: true } file ? file.Length : 0;
        string share = size > 0 ? string.Create(CultureInfo.InvariantCulture, $", {100 * length / size,3} %") : "";
        progress.Write(string.Create(CultureInfo.InvariantCulture, $"\r{name}: {length / 1e6:0.0} MB{share}"));
    }
}
