using VirtKit.Accel.Kvm;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Storage;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Samples.BootLinux.Terminal;
using VirtKit.X86;

namespace VirtKit.Samples.BootLinux;

/// <summary>The board of a guest architecture, as far as the sample deals with it.</summary>
internal abstract class GuestBoard : IDisposable
{
    /// <summary>The one engine that runs x86-64 guests.</summary>
    public const string X64Engine = "kvm";

    public abstract Machine Machine { get; }

    /// <summary>Whether the host can run such a guest.</summary>
    /// <param name="options">The options.</param>
    /// <param name="reason">Why not, for people.</param>
    public static bool IsSupported(BootOptions options, out string? reason)
    {
        reason = null;
        return options.Guest != BootOptions.X64Guest || Kvm(options).Supports(new X64Architecture(), out reason);
    }

    /// <summary>Builds the board that the options ask for.</summary>
    public static GuestBoard Create(BootOptions options, GuestConsoles consoles, IReadOnlyList<IBlockBackend> disks, string commandLine) =>
        options.Guest == BootOptions.X64Guest ? new X64(options, consoles, disks, commandLine) : new RiscV(options, consoles, disks, commandLine);

    /// <summary>Loads the guest and sets its first vCPU to its entry.</summary>
    /// <exception cref="VirtKitException">It is malformed or does not fit.</exception>
    public abstract void Load(Guest guest);

    /// <summary>Carries out what the engine left to the host.</summary>
    /// <returns>What it was, or <see langword="null"/> where the host cannot either.</returns>
    public virtual string? TryFinish(VcpuExit exit) => null;

    public abstract void Dispose();

    private static KvmEngine Kvm(BootOptions options) => new(new KvmOptions { Device = options.KvmDevice, InterruptController = KvmInterruptController.Kernel });

    private static MachineOptions MachineOptions(BootOptions options, GuestArchitecture architecture, ExecutionEngine engine) => new()
    {
        Architecture = architecture,
        Engine = engine,
        VcpuCount = options.Cpus,
        Scheduling = GuestTime.Scheduling(options.Time),
        // Skipped idle time would run the guest's clock ahead of its user.
        IdleTime = options.Run is null ? IdleTime.RealTime : IdleTime.Skipped,
    };

    private sealed class RiscV(BootOptions options, GuestConsoles consoles, IReadOnlyList<IBlockBackend> disks, string commandLine) : GuestBoard
    {
        private readonly RiscVVirt _board = new(new RiscVVirtOptions
        {
            Machine = MachineOptions(options, new RiscVArchitecture { Sbi = options.Firmware is null ? new SbiOptions() : null },
                EngineName.Create(options.Engine)),
            MemorySize = options.Memory.Bytes,
            Console = consoles.Serial,
            VirtioConsole = consoles.Virtio,
            Disks = disks,
            CommandLine = commandLine,
        });

        public override Machine Machine => _board.Machine;

        public override void Load(Guest guest)
        {
            Gpa entry = GuestImage.Parse(guest.Kernel).Load(_board, RiscVVirt.KernelAddress);
            _board.LoadInitrd(guest.Initrd.Span);
            if (options.Firmware is null)
                _board.BootSupervisor(entry);
            else
                _board.BootFirmware(GuestImage.Parse(File.ReadAllBytes(options.Firmware.FullName)).Load(_board, RiscVVirt.FirmwareAddress), entry);
        }

        public override void Dispose() => _board.Dispose();
    }

    private sealed class X64(BootOptions options, GuestConsoles consoles, IReadOnlyList<IBlockBackend> disks, string commandLine) : GuestBoard
    {
        private readonly X64MicroVm _board = new(new X64MicroVmOptions
        {
            Machine = MachineOptions(options, new X64Architecture { Cpuid = CpuName.Create(options.Cpu) }, Kvm(options)),
            MemorySize = options.Memory.Bytes,
            Console = consoles.Serial,
            VirtioConsole = consoles.Virtio,
            Disks = disks,
            CommandLine = commandLine,
        });

        public override Machine Machine => _board.Machine;

        public override void Load(Guest guest)
        {
            _board.LoadInitrd(guest.Initrd.Span);
            _board.BootLinux(guest.Kernel);
        }

        public override string? TryFinish(VcpuExit exit) =>
            exit.Reason == ExitReason.Unsupported && Machine.Vcpus.Count == 1 ? InstructionByHand.TryFinish(Machine, Machine.Vcpus[0]) : null;

        public override void Dispose() => _board.Dispose();
    }
}
