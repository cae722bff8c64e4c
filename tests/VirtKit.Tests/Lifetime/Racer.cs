using System.Collections.Concurrent;
using VirtKit.Accel.Kvm;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Lifetime;

/// <summary>A board with a console, a port and a disk, and calls of all public members of it, its machine, their parts and its backends; for any number of threads.</summary>
internal sealed class Racer
{
    private static readonly byte[] Frame = [.. Enumerable.Repeat((byte)0xff, 64)];

    private readonly ConcurrentBag<Task<VcpuExit>> _runs = [];
    private readonly (string Name, Action Call)[] _calls;
    private Exception? _unexpected;

    public Racer(string engine, VcpuScheduling scheduling)
    {
        var network = new NetworkSwitch();
        NetworkPort port = network.AddPort(), far = network.AddPort();
        MemoryConsole serial = new(1 << 16), console = new(1 << 16);
        var disk = new MemoryBlockBackend(1 << 16);
        var options = new MachineOptions { Architecture = LifetimeEngines.Architecture(engine), Engine = LifetimeEngines.Create(engine), VcpuCount = 2, Scheduling = scheduling };
        bool isX64 = options.Architecture is X64Architecture;
        RiscVVirt? risc = isX64 ? null : new RiscVVirt(With(new RiscVVirtOptions()));
        X64MicroVm? pc = isX64 ? new X64MicroVm(With(new X64MicroVmOptions { Machine = options })) : null;
        Board = risc is null ? pc! : risc;
        Machine machine = Machine = risc?.Machine ?? pc!.Machine;
        AddressSpace memory = machine.Memory;
        Gpa ram = LifetimeEngines.Ram(engine), data = ram + 0x8_0000;
        LifetimeEngines.LoadAll(engine, machine);
        RaceDriver[] drivers = [new(machine, Board, 1, ram + 0x10_0000), new(machine, Board, 2, ram + 0x12_0000)];
        Vcpu first = machine.Vcpus[0], second = machine.Vcpus[1];
        InterruptLine line = second.Pin(isX64 ? X64Pin.Nmi : 9);
        ClockTimer timer = machine.Clock.CreateTimer(new object(), () => line.Set(true));
        MemoryRegion region = memory.Find(data)!;
        ExecutionEngine[] engines = [machine.Engine, .. isX64 ? [new KvmEngine(new KvmOptions { InterruptController = KvmInterruptController.Kernel })] : RiscVEngines.All.Select(RiscVEngines.Create)];
        MachineSnapshot? snapshot = null;
        MachineRecording? recording = null;
        Action handler = () => { }, other = () => { };
        Action<IDevice, Exception> failed = (_, _) => { };
        _calls =
        [
            ("Run", () => Limited(token => machine.Run(token))),
            ("Run", () => Limited(token => first.Run(1_000_000, token))),
            ("RunAsync", RunAsync),
            ("Reset", machine.Reset),
            ("Reset", second.Reset),
            ("RequestShutdown", () => machine.RequestShutdown(0)),
            ("RequestReset", machine.RequestReset),
            ("RequestStop", () => machine.RequestStop(new VcpuExit(ExitReason.Kicked))),
            ("Memory", () => _ = machine.Memory),
            ("Ports", () => _ = machine.Ports?.Regions),
            ("Clock", () => _ = machine.Clock),
            ("SwitchEngine", () => machine.SwitchEngine(engines[Random.Shared.Next(engines.Length)])),
            ("Capture", () => { MachineSnapshot? before = Interlocked.Exchange(ref snapshot, machine.Capture()); before?.Dispose(); }),
            ("Restore", () => { if (Volatile.Read(ref snapshot) is { } captured) machine.Restore(captured); }),
            ("StartRecording", () => machine.StartRecording()),
            ("StopRecording", () => { MachineRecording? before = Interlocked.Exchange(ref recording, machine.StopRecording()); before?.Dispose(); }),
            ("Replay", () => { if (Volatile.Read(ref recording) is { } recorded) machine.Replay(recorded); }),
            ("EndReplay", machine.EndReplay),
            ("GoTo", () => Limited(token => machine.GoTo((Volatile.Read(ref recording)?.FirstInstruction ?? 0) + (ulong)Random.Shared.Next(1000), token))),
            ("StepBack", () => Limited(token => machine.StepBack(10, token))),
            ("Retired", () => _ = machine.Retired),
            ("IsRecording", () => _ = machine.IsRecording),
            ("IsReplaying", () => _ = machine.IsReplaying),
            ("CreateInput", () => machine.Clock.CreateInput(new object(), () => line.Set(true)).Announce()),
            ("Visit", () => StateWriter.Save(serial)),
            ("Visit", () => StateReader.Restore(port, StateWriter.Save(port))),
            ("Hypercalls", () => { machine.Hypercalls = null; _ = machine.Hypercalls; }),
            ("Engine", () => _ = machine.Engine.Name),
            ("EngineSelection", () => _ = machine.EngineSelection),
            ("Name", () => _ = machine.Name),
            ("Scheduling", () => _ = machine.Scheduling),
            ("Partition", () => _ = machine.Partition),
            ("Architecture", () => _ = machine.Architecture.Name),
            ("Vcpus", () => _ = machine.Vcpus.Count),
            ("Kick", second.Kick),
            ("Kick", first.Kick),
            ("Pin", () => _ = second.Pin(isX64 ? X64Pin.Intr : 11)),
            ("Index", () => _ = second.Index),
            ("Counters", () => _ = first.Counters),
            ("GetState", () => _ = isX64 ? first.GetState<X64State>().Cr0 : first.GetState<RiscVState>().Pc),
            ("SetState", () => SetState(isX64, second)),
            ("Set", () => line.Set(true)),
            ("Set", () => line.Set(false)),
            ("Regions", () => _ = memory.Regions.Count),
            ("IsDisposed", () => _ = memory.IsDisposed),
            ("Loaded", () => { memory.Loaded.Release(memory.Loaded.Write("the race", data + (ulong)Random.Shared.Next(0x1000), Frame)); memory.Loaded.Clear(); }),
            ("Find", () => _ = memory.Find(data)),
            ("MapRam", () => memory.Unmap(memory.MapRam(new Gpa(0x70_0000_0000), 0x1000))),
            ("MapRom", () => memory.Unmap(memory.MapRom(new Gpa(0x71_0000_0000), 0x1000))),
            ("Map", () => memory.Unmap(memory.Map(new Gpa(0x72_0000_0000), new FakeDevice()))),
            ("Unmap", () => memory.Unmap(memory.MapRam(new Gpa(0x73_0000_0000), 0x10_0000))),
            ("TryGetSpan", () => { if (memory.TryGetSpan(data, 0x1000, out Span<byte> span)) span.Fill(1); }),
            ("TryRead", () => memory.TryRead(data, new byte[0x2000])),
            ("TryRead", () => memory.TryRead(data, out ulong _)),
            ("TryWrite", () => memory.TryWrite(data, new byte[0x2000])),
            ("TryWrite", () => memory.TryWrite(data, 1UL)),
            ("Read", () => memory.Read(data, new byte[0x1000])),
            ("Write", () => memory.Write(data, new byte[0x1000])),
            ("TryLoad", () => memory.TryLoad(new Gpa(isX64 ? 0xfe00_0000UL : 0x1000_1000), 4, out _)),
            ("TryStore", () => memory.TryStore(new Gpa(isX64 ? 0xfe00_0050UL : 0x1000_1050), 4, 0)),
            ("ReportFailure", () => memory.ReportFailure(new FakeDevice(), new InvalidOperationException("raced"))),
            ("Changed", () => { memory.Changed += handler; memory.Changed -= handler; }),
            ("DeviceFailed", () => { memory.DeviceFailed += failed; memory.DeviceFailed -= failed; }),
            ("Now", () => _ = machine.Clock.Now),
            ("Post", () => machine.Clock.Post(new object(), () => line.Set(true))),
            ("After", () => _ = machine.Clock.After(1000)),
            ("CalendarNow", () => _ = machine.Clock.CalendarNow),
            ("CreateTimer", () => machine.Clock.CreateTimer(new object(), () => { }).Dispose()),
            ("Set", () => timer.Set(machine.Clock.Now + 100)),
            ("Cancel", timer.Cancel),
            ("Machine", () => _ = risc?.Machine ?? pc?.Machine),
            ("Devices", () => _ = risc?.Devices.Count ?? pc!.Devices.Count),
            ("PortDevices", () => _ = pc?.PortDevices.Count),
            ("Plic", () => risc?.Plic.Input(20).Set(true)),
            ("InterruptChips", () => pc?.InterruptChips.Input(20).Set(true)),
            ("MemoryMap", () => _ = pc?.MemoryMap.Count),
            ("DeviceTreeAddress", () => _ = risc?.DeviceTreeAddress),
            ("BuildDeviceTree", () => risc?.BuildDeviceTree()),
            ("BuildAcpiTables", () => pc?.BuildAcpiTables()),
            ("LoadFirmware", () => risc?.LoadFirmware(new byte[16])),
            ("LoadKernel", () => risc?.LoadKernel(new byte[16])),
            ("LoadInitrd", () => { risc?.LoadInitrd(new byte[16]); pc?.LoadInitrd(new byte[16]); }),
            ("BootFirmware", () => risc?.BootFirmware(ram)),
            ("BootSupervisor", () => risc?.BootSupervisor(ram)),
            ("BootLinux", () => pc?.BootLinux(new byte[4096])),
            ("BootPvh", () => pc?.BootPvh(new byte[4096])),
            ("Type", () => serial.Type("typed")),
            ("Type", () => console.Type(new byte[256])),
            ("TakeOutput", () => serial.TakeOutput()),
            ("TakeOutput", () => console.TakeOutput()),
            ("Output", () => _ = console.Output),
            ("Resize", () => console.Resize(new ConsoleSize((ushort)Random.Shared.Next(80, 90), 24))),
            ("Size", () => _ = console.Size),
            ("Follow", () => { if (_runs.TryPeek(out Task<VcpuExit>? run)) Observe(console.Follow(run)); }),
            ("ExpectAsync", () => Observe(serial.ExpectAsync("never", TimeSpan.FromMilliseconds(1)))),
            ("SendLineAsync", () => Observe(serial.SendLineAsync("a line"))),
            ("WaitFor", () => serial.WaitFor("never", TimeSpan.Zero)),
            ("Changed", () => { console.Changed += other; console.Changed -= other; }),
            ("Refill", () => { foreach (RaceDriver driver in drivers) driver.Refill(); }),
            ("Send", () => far.Send(Frame)),
            ("IsConnected", () => _ = port.IsConnected),
            ("Failure", () => _ = port.Failure),
            ("Dropped", () => _ = port.Dropped),
            ("FrameAvailable", () => { port.FrameAvailable += handler; port.FrameAvailable -= handler; }),
            ("HostAddress", () => { unsafe { *(byte*)region.HostAddress = 1; } GC.KeepAlive(region); }),
        ];

        T With<T>(T board) where T : BoardOptions =>
            (T)(board with { Machine = options, MemorySize = 16 << 20, Console = serial, VirtioConsole = console, Networks = [port], Disks = [disk] });
    }

    public Machine Machine { get; }

    public IDisposable Board { get; }

    /// <summary>The names of the members that are called.</summary>
    public HashSet<string> Names => [.. _calls.Select(call => call.Name)];

    /// <summary>The first exception that no member documents, with the member's name.</summary>
    public Exception? Unexpected => _unexpected;

    /// <summary>Calls one member.</summary>
    public void Call(Random random)
    {
        (string name, Action call) = _calls[random.Next(_calls.Length)];
        try
        {
            call();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException or VirtKitException)
        {
            // Disposed of, owned by another, or refused by a kernel whose machine is gone.
        }
        catch (ArgumentException) when (name is "MapRam" or "MapRom" or "Map" or "Unmap")
        {
            // Another thread has the place.
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _unexpected, new InvalidOperationException(name, e), null);
        }
    }

    /// <summary>Whether every run that was begun has come to its end.</summary>
    public bool WaitForRuns(TimeSpan limit)
    {
        Task all = Task.WhenAll(_runs);
        return Task.WaitAny([all], limit) == 0;
    }

    private static void Limited(Action<CancellationToken> run)
    {
        using var limit = new CancellationTokenSource(5);
        run(limit.Token);
    }

    private void RunAsync()
    {
        var limit = new CancellationTokenSource(20);
        Task<VcpuExit> run = Machine.RunAsync(limit.Token);
        _runs.Add(run);
        Observe(run.ContinueWith(_ => limit.Dispose(), TaskScheduler.Default));
    }

    /// <summary>What comes of it is none of the race's business, but that it comes.</summary>
    private static void Observe(Task task) => task.ContinueWith(static ended => _ = ended.Exception, TaskScheduler.Default);

    private static void SetState(bool isX64, Vcpu vcpu)
    {
        if (isX64)
            vcpu.SetState(vcpu.GetState<X64State>());
        else
            vcpu.SetState(vcpu.GetState<RiscVState>());
    }
}
