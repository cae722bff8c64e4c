using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>A machine of 2 MiB of RAM at 0 that runs code assembled in the test, in 16-, 32- or 64-bit mode.</summary>
internal sealed class X64Guest : IDisposable
{
    /// <summary>When a guest counts as hung: far beyond what any of them takes on a slow machine beside other load.</summary>
    public static readonly TimeSpan HangLimit = TimeSpan.FromMinutes(5);

    public const ulong Code = 0x10000, Stack = 0x20000, Tables = 0x1000, RamSize = 0x20_0000;

    public X64Guest(X64Architecture? architecture = null, KvmOptions? options = null, int vcpuCount = 1)
    {
        Require.Kvm();
        Machine = new Machine(new MachineOptions
        {
            Architecture = architecture ?? new X64Architecture(),
            Engine = new KvmEngine(options),
            Scheduling = VcpuScheduling.Threads,
            VcpuCount = vcpuCount,
        });
        Ram = Machine.Memory.MapRam(new Gpa(0), RamSize);
    }

    public Machine Machine { get; }

    public MemoryRegion Ram { get; }

    public Vcpu Vcpu => Machine.Vcpus[0];

    public X64Registers Registers
    {
        get => Vcpu.GetState<X64Registers>();
        set => Vcpu.SetState(value);
    }

    public static byte[] Assemble(int bits, Action<Assembler> write, ulong at = Code)
    {
        var assembler = new Assembler(bits);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }

    public X64Guest Load(int bits, Action<Assembler> write)
    {
        Machine.Memory.Write(new Gpa(Code), Assemble(bits, write, bits == 16 ? 0 : Code));
        X64State state = Vcpu.GetState<X64State>();
        Enter(Machine.Memory, ref state, bits);
        Vcpu.SetState(in state);
        return this;
    }

    /// <summary>Runs with a time limit, so that a guest that does not stop fails its test instead of hanging it.</summary>
    public VcpuExit Run()
    {
        using var limit = new CancellationTokenSource(HangLimit);
        return Vcpu.Run(cancellationToken: limit.Token);
    }

    /// <summary>Runs without a limit, and without the allocations that one costs.</summary>
    public VcpuExit RunUnlimited() => Vcpu.Run();

    public void Dispose() => Machine.Dispose();

    /// <summary>Puts the vCPU into a mode: flat segments, and in 64-bit mode an identity map of the first 4 GiB in 2 MiB pages.</summary>
    public static void Enter(AddressSpace memory, ref X64State state, int bits)
    {
        X64Segment code = X64Segment.Code(bits == 16 ? (ushort)(Code >> 4) : (ushort)8, bits), data = X64Segment.Data(bits == 16 ? (ushort)0 : (ushort)0x10, bits);
        (state.Cs, state.Ss, state.Ds, state.Es, state.Fs, state.Gs) = (code, data, data, data, data, data);
        state.Registers = new X64Registers { Rip = bits == 16 ? 0 : Code, Rsp = bits == 16 ? 0xf000 : Stack, Rflags = 2 };
        if (bits == 16)
            return;
        state.Cr0 |= 1;
        Span<ulong> gdt = [0, bits == 64 ? 0x00af_9b00_0000_fffful : 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
        for (int i = 0; i < gdt.Length; i++)
            Assert.True(memory.TryWrite(new Gpa(0x7000 + ((ulong)i * 8)), gdt[i]));
        state.Gdtr = new X64DescriptorTable { Base = 0x7000, Limit = 0x17 };
        if (bits == 32)
            return;
        memory.TryWrite(new Gpa(Tables), Tables + 0x1003);
        for (ulong i = 0; i < 4; i++)
        {
            memory.TryWrite(new Gpa(Tables + 0x1000 + (i * 8)), Tables + 0x2003 + (i * 0x1000));
            for (ulong j = 0; j < 512; j++)
                memory.TryWrite(new Gpa(Tables + 0x2000 + (i * 0x1000) + (j * 8)), (((i * 512) + j) << 21) | 0x83);
        }

        state.Cr3 = Tables;
        state.Cr4 |= 0x620; // PAE, OSFXSR, OSXMMEXCPT
        state.Cr0 |= 0x8000_0033;
        state.Efer |= 0x500; // LME, LMA
    }
}

/// <summary>A device that records writes and reads back a counter.</summary>
internal sealed class Recorder(ulong size = 8, AccessWidths widths = AccessWidths.Any) : IDevice
{
    public List<(ulong Offset, int Size, ulong Value)> Writes { get; } = [];

    public ulong Next { get; set; } = 0x1122_3344_5566_7788;

    public int Reads { get; private set; }

    /// <summary>What happens at the hundredth read.</summary>
    public Action? AtHundred { get; set; }

    public DeviceWindow Window => new("recorder", size, widths);

    public ulong Read(ulong offset, int size)
    {
        if (++Reads == 100)
            AtHundred?.Invoke();
        return Next++;
    }

    public void Write(ulong offset, int size, ulong value) => Writes.Add((offset, size, value));

    public void Reset() => Writes.Clear();
}

/// <summary>A device that ends the machine's run: what is written is the exit code.</summary>
internal sealed class Finisher(Machine machine) : IDevice
{
    public DeviceWindow Window => new("finisher", 8);

    public ulong Read(ulong offset, int size) => 0;

    public void Write(ulong offset, int size, ulong value) => machine.RequestShutdown((int)value);

    public void Reset()
    {
    }
}
