using System.Runtime.InteropServices;

namespace VirtKit.Bench.Runs;

/// <summary>A sample program of this repository, published as a user would ship it, precompiled (ReadyToRun), and then run as a process of its own.</summary>
internal static class Sample
{
    /// <summary>Publishes a sample in its Release configuration.</summary>
    /// <param name="name">Folder and assembly name below <c>samples</c>.</param>
    /// <returns>The command that starts it.</returns>
    /// <exception cref="BenchException">It does not build.</exception>
    public static async Task<Invocation> Publish(string name, CancellationToken cancellation)
    {
        string project = Repository.PathOf("samples", name, $"{name}.csproj");
        if (!File.Exists(project))
            throw new BenchException($"There is no sample {name}.");
        string folder = Repository.PathOf("artifacts", "bench", name);
        var command = new Invocation(
            "dotnet", "publish", project, "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, "--self-contained", "false", "-p:PublishReadyToRun=true",
            "-o", folder, "--nologo", "-v", "quiet");
        TimedRun build = await TimedRun.ToEnd(command, TimeSpan.FromMinutes(10), cancellation);
        return build.ExitCode == 0
            ? new Invocation("dotnet", Path.Combine(folder, $"{name}.dll"))
            : throw new BenchException($"{name} does not build:\n{build.Output}{build.Error}");
    }
}
