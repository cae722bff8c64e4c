using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Bench.Micro;

/// <summary>The interpreter's two ways from one handler to the next, per guest instruction.</summary>
public class DispatchBenchmarks : IDisposable
{
    private const int Instructions = 1_000_000;

    /// <summary>Arithmetic, a load, a store and a branch that alternates, forever.</summary>
    private static readonly uint[] Loop =
    [
        0x00128293, // addi t0, t0, 1
        0x0062c333, // xor t1, t0, t1
        0x00329393, // slli t2, t0, 3
        0x00053e03, // ld t3, 0(a0)
        0x007e0e33, // add t3, t3, t2
        0x01c53023, // sd t3, 0(a0)
        0x0012f393, // andi t2, t0, 1
        0x00038463, // beqz t2, 8
        0x00130313, // addi t1, t1, 1
        0xfddff06f, // j -36
    ];

    private static readonly Gpa Ram = new(0x80000000);

    private Machine _machine = null!;

    /// <summary>How handlers follow each other.</summary>
    [Params("TailThreaded", "Loop")]
    public string Dispatch { get; set; } = "TailThreaded";

    [GlobalSetup]
    public void Start()
    {
        _machine = new Machine(new MachineOptions
        {
            Architecture = new RiscVArchitecture(),
            Engine = new InterpreterEngine { Dispatch = Enum.Parse<InterpreterDispatch>(Dispatch) },
        });
        _machine.Memory.MapRam(Ram, 1 << 20);
        byte[] code = new byte[Loop.Length * 4];
        for (int i = 0; i < Loop.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(i * 4), Loop[i]);
        _machine.Memory.Write(Ram, code);
        RiscVState state = _machine.Vcpus[0].GetState<RiscVState>();
        state.Pc = Ram.Value;
        state.X[10] = Ram.Value + 0x1000;
        _machine.Vcpus[0].SetState(state);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _machine.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(OperationsPerInvoke = Instructions)]
    public VcpuExit Run() => _machine.Vcpus[0].Run(Instructions);
}
