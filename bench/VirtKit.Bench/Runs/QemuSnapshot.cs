using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using VirtKit.Bench.Reports;

namespace VirtKit.Bench.Runs;

/// <summary>QEMU's savevm and loadvm of a guest that has booted to its shell.</summary>
internal static class QemuSnapshot
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <returns>Milliseconds of either monitor command, medians.</returns>
    public static async Task<(double Save, double Load)> Measure(string program, LinuxFiles files, string line, string fill, string filled, string folder, int runs, CancellationToken cancellation)
    {
        string disk = Path.Combine(folder, "state.qcow2"), socket = Path.Combine(Path.GetTempPath(), $"virtkit-{Guid.NewGuid():N}.monitor");
        await TimedRun.ToEnd(new Invocation("qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"), Limit, cancellation);
        Invocation command = new(program, "-M", "virt", "-m", "512M", "-display", "none", "-serial", "stdio", "-monitor", $"unix:{socket},server=on,wait=off",
            "-drive", $"if=none,format=qcow2,file={disk}", "-kernel", files.Kernel, "-initrd", files.Initrd, "-append", line);
        using Process process = Process.Start(command.ToStartInfo()) ?? throw new BenchException($"{program} does not start.");
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(Limit);
            _ = process.StandardError.ReadToEndAsync(limit.Token);
            var typist = Type(process, fill, limit.Token);
            await ReadTo(process.StandardOutput, filled, limit.Token);
            await limit.CancelAsync();
            await typist;
            return await Command(socket, runs, cancellation);
        }
        finally
        {
            process.Kill();
            File.Delete(socket);
        }
    }

    /// <summary>Types the command until it is answered: what is typed before the shell is there is lost.</summary>
    private static async Task Type(Process process, string fill, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                await Task.Delay(3000, cancellation);
                await process.StandardInput.WriteAsync($"[ -e /fill ] || {{ {fill}; }}\n".AsMemory(), cancellation);
                await process.StandardInput.FlushAsync(cancellation);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static async Task ReadTo(StreamReader output, string text, CancellationToken cancellation)
    {
        var seen = new StringBuilder();
        char[] buffer = new char[4096];
        while (!seen.ToString().Contains(text, StringComparison.Ordinal))
        {
            int count = await output.ReadAsync(buffer, cancellation);
            if (count == 0)
                throw new BenchException($"QEMU has ended: {seen}");
            seen.Append(buffer, 0, count);
        }
    }

    private static async Task<(double Save, double Load)> Command(string socket, int runs, CancellationToken cancellation)
    {
        using var monitor = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await monitor.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation);
        using var stream = new NetworkStream(monitor);
        await Prompt();
        await Do("stop");
        List<double> saves = [], loads = [];
        for (int run = 0; run < runs; run++)
        {
            saves.Add(await Do("savevm a"));
            loads.Add(await Do("loadvm a"));
            await Do("delvm a");
        }

        return (Statistics.Median(saves), Statistics.Median(loads));

        async Task<double> Do(string command)
        {
            long start = Stopwatch.GetTimestamp();
            await stream.WriteAsync(Encoding.ASCII.GetBytes(command + "\n"), cancellation);
            string answer = await Prompt();
            if (answer.Contains("Error", StringComparison.Ordinal))
                throw new BenchException($"QEMU refuses {command}: {answer}");
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        async Task<string> Prompt()
        {
            var seen = new StringBuilder();
            byte[] buffer = new byte[4096];
            while (!seen.ToString().EndsWith("(qemu) ", StringComparison.Ordinal))
            {
                int count = await stream.ReadAsync(buffer, cancellation);
                if (count == 0)
                    throw new BenchException($"QEMU's monitor has ended: {seen}");
                seen.Append(Encoding.ASCII.GetString(buffer, 0, count));
            }

            return seen.ToString();
        }
    }
}
