using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using VirtKit;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Samples;
using VirtKit.Samples.RunElf;

const int usageError = 1, softwareError = 70, outOfBudget = 124;

var image = new Argument<FileInfo>("image.elf") { Description = "A bare-metal RV64 program, started at its entry point in machine mode" };
image.AcceptExistingOnly();
Option<string> engine = SharedOptions.Engine();
Option<int> cpus = SharedOptions.Cpus();
Option<MemorySize> memory = SharedOptions.Memory(new MemorySize(128 << 20));
var budget = new Option<ulong?>("--budget") { Description = "Stop after so many instructions, with exit code 124", HelpName = "N" };
Option<string> time = SharedOptions.Time(GuestTime.Virtual);
var metrics = new Option<bool>("--metrics") { Description = "Write the counts of the meter VirtKit to standard error at the end" };

var command = new RootCommand("Runs a bare-metal RISC-V ELF program on the RiscVVirt board, its console on standard output.") { image, engine, cpus, memory, time, budget, metrics };
command.Validators.Add(result =>
{
    if (result.GetValue(budget) is not null && result.GetValue(time) == GuestTime.Host)
        result.AddError("--budget needs virtual time: in the host's, vCPUs cannot stop at a common count.");
});
command.SetAction(parsed =>
{
    try
    {
        return Run(parsed.GetRequiredValue(image), parsed.GetValue(engine)!, parsed.GetValue(cpus), parsed.GetValue(memory), parsed.GetValue(time)!, parsed.GetValue(budget), parsed.GetValue(metrics));
    }
    catch (Exception e) when (e is VirtKitException or IOException or UnauthorizedAccessException or ArgumentException)
    {
        Console.Error.WriteLine($"RunElf: {e.Message}");
        return usageError;
    }
});
return command.Parse(args).Invoke();

static int Run(FileInfo file, string engine, int cpus, MemorySize memory, string guestTime, ulong? budget, bool metrics)
{
    ElfImage image = ElfImage.Parse(File.ReadAllBytes(file.FullName), ElfMachine.RiscV);
    using Stream output = Console.OpenStandardOutput();
    using var console = new StreamConsole(input: null, output);
    using MetricsReport? report = metrics ? new MetricsReport() : null;
    var options = new MachineOptions { Architecture = new RiscVArchitecture(), Engine = EngineName.Create(engine), VcpuCount = cpus, Scheduling = GuestTime.Scheduling(guestTime) };
    using var board = new RiscVVirt(new RiscVVirtOptions { Machine = options, MemorySize = memory.Bytes, Console = console });
    image.Load(board.Machine.Memory);
    board.BootFirmware(image.Entry, RiscVVirt.KernelAddress);
    Gpa? toHost = image.TryFindSymbol("tohost", out Gva symbol) ? image.ToPhysical(symbol) : null;
    using var watch = new Watch(board.Machine, options, budget, toHost);

    var time = Stopwatch.StartNew();
    VcpuExit exit = board.Machine.Run();
    double seconds = time.Elapsed.TotalSeconds;
    // A program that has written its result may wait for ever after.
    if (exit.Reason == ExitReason.Halted && watch.TryReadResult(out int result))
        exit = new VcpuExit(ExitReason.Shutdown, (uint)result);
    console.Flush(Timeout.InfiniteTimeSpan);
    ulong retired = board.Machine.Vcpus.Aggregate(0UL, (sum, vcpu) => sum + vcpu.Counters.Retired);
    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"retired={retired} seconds={seconds:0.000000} mips={retired / seconds / 1e6:0.00} engine={engine}"));
    Console.Error.WriteLine(GuestTime.Describe(guestTime, board.Machine, seconds));
    report?.Write(Console.Error);
    switch (exit.Reason)
    {
        case ExitReason.Shutdown:
            return (int)Math.Min(exit.Code, 255);
        case ExitReason.BudgetExhausted:
            return outOfBudget;
        default:
            Console.Error.WriteLine($"RunElf: the machine stopped: {exit.Reason}. {exit.Detail}".TrimEnd());
            WriteLocation(board.Machine, image, exit);
            return softwareError;
    }
}

// Where it went wrong, by the program's own names: the first trap, or else where each hart stands.
static void WriteLocation(Machine machine, ElfImage image, VcpuExit exit)
{
    if (exit.FirstTrap is { } trap)
    {
        Console.Error.WriteLine($"RunElf: first trap: {trap.Description} in {Name(trap.Pc)}, value 0x{trap.Value:x}");
        return;
    }

    foreach (Vcpu hart in machine.Vcpus)
        Console.Error.WriteLine($"RunElf: hart {hart.Index} stands in {Name(new Gva(hart.GetState<RiscVState>().Pc))}");

    string Name(Gva pc) => image.TryFindSymbol(pc, out ElfSymbol symbol) ? $"{symbol} ({pc})" : $"no known symbol ({pc})";
}
