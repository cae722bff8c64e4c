using VirtKit;
using VirtKit.Boot;
using VirtKit.Devices;
using VirtKit.RiscV;

// A machine of four parts: a hart, memory, the test finisher that ends the run, and a device of our own whose line goes to the hart's external interrupt.
using Stream resource = typeof(Squarer).Assembly.GetManifestResourceStream("squarer.elf")!;
byte[] file = new byte[resource.Length];
resource.ReadExactly(file);
ElfImage guest = ElfImage.Parse(file, ElfMachine.RiscV);

using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture() });
Vcpu hart = machine.Vcpus[0];
machine.Memory.MapRam(new Gpa(0x8000_0000), 1 << 20);
machine.Memory.Map(new Gpa(0x10_0000), new TestFinisher(machine.RequestShutdown, machine.RequestReset));
machine.Memory.Map(new Gpa(0x1000_0000), new Squarer(machine.Clock, hart.Pin(11)));

guest.Load(machine.Memory);
hart.SetState(hart.GetState<RiscVState>() with { Pc = guest.Entry.Value, Privilege = PrivilegeMode.Machine, Started = true });
VcpuExit exit = machine.Run();
Console.WriteLine($"The guest had the device square 6, slept until its interrupt and powered off with {exit.Code} after {hart.Counters.Retired} instructions.");
return exit is { Reason: ExitReason.Shutdown, Code: 36 } ? 0 : 1;
