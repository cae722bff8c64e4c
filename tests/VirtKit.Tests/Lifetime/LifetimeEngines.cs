using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Kvm;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Lifetime;

/// <summary>A machine of every engine that this host can run, with a guest that reads a device and stores to RAM without end.</summary>
internal static class LifetimeEngines
{
    public const ulong DeviceAddress = 0x1000_0000;

    /// <summary>The names of the engines, for theories. KVM's rows skip where there is none.</summary>
    public static TheoryData<string> Names => [.. RiscVEngines.All, "kvm"];

    public static ExecutionEngine Create(string engine)
    {
        if (engine != "kvm")
            return RiscVEngines.Create(engine);
        Require.Kvm();
        return new KvmEngine();
    }

    public static bool Counts(string engine) => engine != "kvm";

    public static GuestArchitecture Architecture(string engine) => engine == "kvm" ? new X64Architecture() : new RiscVArchitecture();

    /// <summary>The first address of its RAM.</summary>
    public static Gpa Ram(string engine) => new(engine == "kvm" ? 0 : BareMachine.Ram);

    /// <summary>Composes a machine; the guest is there, the device is the caller's to map at <see cref="DeviceAddress"/>.</summary>
    public static Machine Compose(string engine, int vcpus = 1, VcpuScheduling scheduling = VcpuScheduling.Threads, Func<MachineOptions, MachineOptions>? change = null)
    {
        var options = new MachineOptions { Architecture = Architecture(engine), Engine = Create(engine), VcpuCount = vcpus, Scheduling = scheduling };
        var machine = new Machine(change?.Invoke(options) ?? options);
        machine.Memory.MapRam(Ram(engine), 2 << 20);
        LoadAll(engine, machine);
        return machine;
    }

    /// <summary>Puts the guest into RAM, and every vCPU at its beginning.</summary>
    public static void LoadAll(string engine, Machine machine)
    {
        foreach (Vcpu vcpu in machine.Vcpus)
            Load(engine, machine, vcpu);
    }

    private static void Load(string engine, Machine machine, Vcpu vcpu)
    {
        if (engine == "kvm")
        {
            machine.Memory.Write(new Gpa(X64Guest.Code), X64Guest.Assemble(64, a =>
            {
                Label again = a.CreateLabel();
                a.mov(rbx, DeviceAddress);
                a.Label(ref again);
                a.mov(eax, __dword_ptr[rbx]);
                a.mov(__dword_ptr[rbx + 4], eax);
                a.mov(__dword_ptr[0x3_0000], eax);
                a.jmp(again);
            }));
            X64State state = vcpu.GetState<X64State>();
            X64Guest.Enter(machine.Memory, ref state, 64);
            state.Activity = X64Activity.Running;
            vcpu.SetState(in state);
            return;
        }

        machine.Memory.Write(Ram(engine), RiscVAssembler.Assemble("""
                li t0, 0x10000000
                li t1, 0x80010000
            again:
                lw a0, 0(t0)
                sw a0, 4(t0)
                sw a0, 0(t1)
                j again
            """, BareMachine.Ram, out _));
        vcpu.SetState(vcpu.GetState<RiscVState>() with { Pc = BareMachine.Ram });
    }
}
