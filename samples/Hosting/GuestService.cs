using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Engines;

namespace VirtKit.Samples.Hosting;

/// <summary>Runs the guest until it powers off, which ends the application, or until the application stops, which ends the guest.</summary>
internal sealed partial class GuestService(RiscVVirt board, IHostApplicationLifetime application, ILogger<GuestService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        LogEngine(logger, board.Machine.EngineSelection);
        using Stream resource = typeof(GuestService).Assembly.GetManifestResourceStream("default.elf")!;
        byte[] file = new byte[resource.Length];
        await resource.ReadExactlyAsync(file, stoppingToken);
        ElfImage guest = ElfImage.Parse(file, ElfMachine.RiscV);
        guest.Load(board.Machine.Memory);
        board.BootSupervisor(guest.Entry);

        VcpuExit exit = await board.Machine.RunAsync(stoppingToken);
        Environment.ExitCode = exit.Reason == ExitReason.Shutdown ? (int)exit.Code : 1;
        application.StopApplication();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The guest runs on the {Engine}")]
    private static partial void LogEngine(ILogger logger, EngineSelection engine);
}
