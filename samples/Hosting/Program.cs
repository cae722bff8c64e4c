using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VirtKit;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Samples.Hosting;

// A machine as a service of a .NET host: it logs, counts and is disposed of as all others are, and stops with the application.
HostApplicationBuilder builder = Host.CreateApplicationBuilder(args);
builder.Logging.AddSimpleConsole(console => console.IncludeScopes = true).AddFilter("VirtKit", LogLevel.Debug);
builder.Services.AddSingleton<IConsoleBackend>(_ => new StreamConsole(input: null, Console.OpenStandardOutput()));
builder.Services.AddSingleton(services => new RiscVVirt(new RiscVVirtOptions
{
    Machine = new MachineOptions
    {
        Name = "guest",
        Architecture = new RiscVArchitecture { Sbi = new SbiOptions() },
        Logger = services.GetRequiredService<ILogger<Machine>>(),
        MeterFactory = services.GetRequiredService<IMeterFactory>(),
    },
    Console = services.GetRequiredService<IConsoleBackend>(),
}));
builder.Services.AddHostedService<GuestService>();
await builder.Build().RunAsync();
