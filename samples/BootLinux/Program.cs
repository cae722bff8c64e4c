using System.CommandLine;
using System.CommandLine.Parsing;
using VirtKit;
using VirtKit.Samples;
using VirtKit.Samples.BootLinux;

// As sysexits.h has it: the host lacks what runs the guest.
const int Unavailable = 69;

var guest = new Option<string>("--guest") { Description = "The guest architecture: riscv64, or x86-64 on the engine kvm", HelpName = "NAME", DefaultValueFactory = _ => BootOptions.RiscVGuest };
guest.AcceptOnlyFromAmong(BootOptions.RiscVGuest, BootOptions.X64Guest);
var kernel = new Option<FileInfo>("--kernel") { Description = "Kernel: a Linux Image (or .gz), an ELF program or a flat binary such as U-Boot. Default: Debian's, fetched once", HelpName = "FILE" };
var initrd = new Option<FileInfo>("--initrd") { Description = "Initial RAM disk. Default with Debian's kernel: busybox and its shell", HelpName = "FILE" };
var disk = new Option<FileInfo[]>("--disk") { Description = "Disk image, read and written; may be repeated", HelpName = "FILE", DefaultValueFactory = _ => [] };
var append = new Option<string>("--append") { Description = "Text added to the kernel's command line", HelpName = "TEXT", DefaultValueFactory = _ => "" };
Option<int> cpus = SharedOptions.Cpus();
Option<MemorySize> memory = SharedOptions.Memory(new MemorySize(256 << 20));
Option<string> engine = SharedOptions.Engine(GuestBoard.X64Engine);
var cpu = new Option<string>("--cpu") { Description = "The processor of an x86-64 guest: the host's, the host's less what a nested KVM cannot emulate, or a model", HelpName = "NAME", DefaultValueFactory = _ => CpuName.Default };
cpu.AcceptOnlyFromAmong([.. CpuName.All]);
var firmware = new Option<FileInfo>("--firmware") { Description = "Firmware that starts in machine mode and then starts the kernel, such as OpenSBI. Default: none, VirtKit answers SBI calls", HelpName = "FILE" };
var run = new Option<string>("--run") { Description = "Run a command in Debian's guest, print its output, power off and exit with its status", HelpName = "COMMAND" };
var save = new Option<FileInfo>("--save") { Description = "Where Ctrl-A s saves the whole machine, which goes on", HelpName = "FILE" };
var restore = new Option<FileInfo>("--restore") { Description = "Go on with a machine that was saved with the same options, instead of booting", HelpName = "FILE" };
restore.AcceptExistingOnly();
var record = new Option<FileInfo>("--record") { Description = "Record the run into this file, in virtual time. Disks keep what they have: writes are forgotten at the end", HelpName = "FILE" };
var replay = new Option<FileInfo>("--replay") { Description = "Repeat a run that was recorded with the same options, on either engine", HelpName = "FILE" };
replay.AcceptExistingOnly();
Option<string> time = SharedOptions.Time(GuestTime.Host);
var noFetch = new Option<bool>("--no-fetch") { Description = "Use only what is in the cache; without it, boot the embedded default guest" };
var fetchOnly = new Option<bool>("--fetch-only") { Description = "Fetch the guest that would be booted, and boot nothing" };
var mirror = new Option<Uri>("--mirror") { Description = "Debian archive to fetch from. Default: those of this host's apt", HelpName = "URL", CustomParser = ParseMirror };
var allowUnsigned = new Option<bool>("--allow-unsigned") { Description = "Fetch although this host cannot check the archive's signature" };
var quiet = new Option<bool>("--quiet") { Description = "No progress and no kernel messages" };
foreach (Option<FileInfo> file in (Option<FileInfo>[])[kernel, initrd, firmware])
    file.AcceptExistingOnly();
disk.AcceptExistingOnly();

var command = new RootCommand("Boots an unmodified Debian riscv64 kernel, or another guest, on VirtKit. Ctrl-A x leaves the guest's terminal, Ctrl-A s saves the machine (--save).")
{
    guest, kernel, initrd, disk, append, cpus, memory, engine, cpu, firmware, time, run, save, restore, record, replay, noFetch, fetchOnly, mirror, allowUnsigned, quiet,
};
command.Validators.Add(result =>
{
    if (result.GetValue(run) is not null && (result.GetValue(kernel) is not null || result.GetValue(initrd) is not null))
        result.AddError("--run needs Debian's own kernel and initial RAM disk: it goes with neither --kernel nor --initrd.");
    if (result.GetValue(run) is not null && (result.GetValue(save) is not null || result.GetValue(restore) is not null))
        result.AddError("--save and --restore are for a machine with a terminal, not for --run.");
    if (result.GetValue(replay) is not null && (result.GetValue(record) is not null || result.GetValue(restore) is not null))
        result.AddError("--replay repeats a run from its beginning: it goes with neither --record nor --restore.");
    bool isRecorded = result.GetValue(record) is not null || result.GetValue(replay) is not null;
    if (isRecorded && result.GetResult(time) is { Implicit: false } && result.GetValue(time) == GuestTime.Host)
        result.AddError("--record and --replay need --time virtual.");
    bool x64 = result.GetValue(guest) == BootOptions.X64Guest, kvm = result.GetValue(engine) == GuestBoard.X64Engine, isNamed = result.GetResult(engine) is { Implicit: false };
    if (isNamed && x64 != kvm)
        result.AddError($"The engine {result.GetValue(engine)} does not run {(x64 ? BootOptions.X64Guest : BootOptions.RiscVGuest)} guests: {GuestBoard.X64Engine} runs x86-64, the others riscv64.");
    if (x64 && isRecorded)
        result.AddError("--record and --replay are for riscv64 guests: KVM does not count instructions.");
    if (x64 && result.GetValue(time) == GuestTime.Virtual)
        result.AddError("--time virtual is for riscv64 guests: KVM does not count instructions.");
    if (!x64 && result.GetResult(cpu) is { Implicit: false })
        result.AddError("--cpu is for --guest x86-64.");
    if (x64 && result.GetValue(firmware) is not null)
        result.AddError("--firmware is for riscv64 guests: an x86-64 kernel is started by its boot protocol.");
});
command.SetAction(parsed =>
{
    var options = new BootOptions
    {
        Guest = parsed.GetValue(guest)!,
        Kernel = parsed.GetValue(kernel),
        Initrd = parsed.GetValue(initrd),
        Disks = parsed.GetValue(disk) ?? [],
        Append = parsed.GetValue(append) ?? "",
        Cpus = parsed.GetValue(cpus),
        Memory = parsed.GetValue(memory),
        Engine = parsed.GetValue(guest) == BootOptions.X64Guest ? GuestBoard.X64Engine : parsed.GetValue(engine)!,
        Cpu = parsed.GetValue(cpu)!,
        Firmware = parsed.GetValue(firmware),
        Time = parsed.GetValue(record) is not null || parsed.GetValue(replay) is not null ? GuestTime.Virtual : parsed.GetValue(time)!,
        Run = parsed.GetValue(run),
        Save = parsed.GetValue(save),
        Restore = parsed.GetValue(restore),
        Record = parsed.GetValue(record),
        Replay = parsed.GetValue(replay),
        NoFetch = parsed.GetValue(noFetch),
        Mirror = parsed.GetValue(mirror),
        AllowUnsigned = parsed.GetValue(allowUnsigned),
        Quiet = parsed.GetValue(quiet),
    };
    try
    {
        if (parsed.GetValue(fetchOnly))
        {
            Guest.Choose(options, Console.Error);
            return 0;
        }

        if (!GuestBoard.IsSupported(options, out string? reason))
        {
            Console.Error.WriteLine($"BootLinux: {reason}");
            return Unavailable;
        }

        using var session = new BootSession(options, Guest.Choose(options, options.Quiet ? TextWriter.Null : Console.Error));
        return session.Run();
    }
    catch (Exception e) when (e is VirtKitException or IOException or UnauthorizedAccessException or ArgumentException)
    {
        Console.Error.WriteLine($"BootLinux: {e.Message}");
        return 1;
    }
});
return command.Parse(args).Invoke();

static Uri? ParseMirror(ArgumentResult result)
{
    if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out Uri? uri) && uri.Scheme is ("http" or "https" or "file"))
        return uri;
    result.AddError($"--mirror takes an address such as https://mirror.example/debian, not '{result.Tokens[0].Value}'.");
    return null;
}
