using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Bench.Micro;

/// <summary>What a guest's access costs that is not an aligned one to RAM, under Sv39 with 4 KiB pages: sixteen of them a round.</summary>
public class GuestAccessBenchmarks : IDisposable
{
    private const int Rounds = 10_000, Accesses = 16;

    private static readonly Gpa Ram = new(0x8000_0000), Device = new(0x1000_0000), Tables = new(0x8001_0000);

    private Machine _machine = null!;

    /// <summary>Who runs the guest.</summary>
    [Params("interpreter", "translator")]
    public string Engine { get; set; } = "";

    /// <summary>The instruction: a register of a device read or written, a load at an odd address, a load-reserved with its store-conditional (as one).</summary>
    [Params("ld device", "sd device", "ld unaligned", "lr, sc")]
    public string Access { get; set; } = "";

    [GlobalSetup]
    public void Start()
    {
        ExecutionEngine engine = Engine == "translator" ? new TranslatorEngine() : new InterpreterEngine();
        _machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine });
        _machine.Memory.MapRam(Ram, 1 << 20);
        _machine.Memory.Map(Device, new Registers());
        uint[] access = Access switch
        {
            "ld device" => [0x00053283], // ld t0, 0(a0)
            "sd device" => [0x00553023], // sd t0, 0(a0)
            "ld unaligned" => [0x0015b283], // ld t0, 1(a1)
            _ => [0x1005b2af, 0x1855b32f], // lr.d t0, (a1); sc.d t1, t0, (a1)
        };
        uint[] code = [.. Enumerable.Repeat(access, Accesses).SelectMany(words => words)];
        // j back to the first
        uint back = (uint)(-4 * code.Length);
        code = [.. code, (back & 1 << 20) << 11 | (back & 0x7fe) << 20 | (back & 1 << 11) << 9 | (back & 0xff000) | 0x6f];
        byte[] bytes = new byte[code.Length * 4];
        for (int i = 0; i < code.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i * 4), code[i]);
        _machine.Memory.Write(Ram, bytes);
        Map(Device, Device, 0xc7);
        Map(Ram, Ram, 0xcf);
        Map(Ram + 0x1000, Ram + 0x1000, 0xcf);
        RiscVState state = _machine.Vcpus[0].GetState<RiscVState>();
        (state.Pc, state.X[10], state.X[11]) = (Ram.Value, Device.Value, Ram.Value + 0x1100);
        (state.Privilege, state.Satp) = (PrivilegeMode.Supervisor, 8UL << 60 | Tables.Value >> 12);
        // Everything is allowed by physical memory protection.
        (state.PmpAddress[0], state.PmpConfiguration[0]) = (ulong.MaxValue >> 10, 0x1f);
        _machine.Vcpus[0].SetState(state);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _machine.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(OperationsPerInvoke = Rounds * Accesses)]
    public VcpuExit Run()
    {
        VcpuExit exit = _machine.Vcpus[0].Run((ulong)(Rounds * (Accesses * (Access == "lr, sc" ? 2 : 1) + 1)));
        if (exit.Reason != ExitReason.BudgetExhausted || _machine.Vcpus[0].Counters.Traps != 0)
            throw new BenchException($"The guest ended: {exit}");
        return exit;
    }

    /// <summary>Maps a page by tables of its own, which stand one behind the other.</summary>
    private void Map(Gpa address, Gpa page, ulong flags)
    {
        ulong table = Tables.Value, number = address.Value >> 30;
        for (int level = 2; level > 0; level--)
        {
            var entry = new Gpa(table + (address.Value >> (12 + 9 * level) & 0x1ff) * 8);
            ulong next = Tables.Value + 0x1000 * (1 + number * 2 + (ulong)(2 - level));
            _machine.Memory.TryWrite(entry, next >> 12 << 10 | 1);
            table = next;
        }

        _machine.Memory.TryWrite(new Gpa(table + (address.Value >> 12 & 0x1ff) * 8), page.Value >> 12 << 10 | flags);
    }
}
