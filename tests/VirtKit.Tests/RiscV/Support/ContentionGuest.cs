using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>Four harts on threads, two of which do one thing over and over and two another: what makes vCPUs wait for each other. Every hart counts its rounds.</summary>
internal sealed class ContentionGuest : IDisposable
{
    public const int Harts = 4;

    /// <summary>What a failing callback says.</summary>
    public const string Failure = "The host's console failed.";

    private const ulong Programs = BareMachine.Ram + 0x1000, Counters = BareMachine.Ram + 0x8000, Window = 0x4000_0000, CacheSize = 512 << 10;

    /// <summary>Each hart's own: a field of code that is several times too long for the cache, a page whose code changes, and two pages that it maps in turns.</summary>
    private const ulong Own = BareMachine.Ram + 0x21_0000, OwnSize = 0x7_0000, Changing = 0x6_0000, Mapped = 0x6_1000;

    private static readonly uint Addi = Word("addi a0, a0, 0"), Ret = Word("ret"), JumpOn = Word("j 4");

    private readonly BareMachine _machine;

    public ContentionGuest(string engine, params ReadOnlySpan<string> activities)
    {
        var console = new FailingConsole();
        _machine = new BareMachine(Engine(engine), "nop", Harts, new SbiOptions(), scheduling: VcpuScheduling.Threads, console: console);
        console.Rounds = () => Rounds;
        var tables = new PageTables(_machine, 3);
        tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
        for (int hart = 0; hart < Harts; hart++)
        {
            string activity = activities[hart * activities.Length / Harts];
            ulong own = Own + (ulong)hart * OwnSize, program = Programs + (ulong)hart * 0x400, window = Window + (ulong)hart * 0x1000;
            FillWithBlocks(own, (int)Changing / 8);
            FillWithBlocks(own + Changing, 40);
            FillWithBlocks(own + Mapped, 4);
            FillWithBlocks(own + Mapped + 0x1000, 4);
            _machine.Write(program, $"""
                loop: {Activities.GetValueOrDefault(activity, Activities["link"])}
                ld t0, 0(s1)
                addi t0, t0, 1
                sd t0, 0(s1)
                j loop
                """);
            ulong entry = tables.Map(window, own + Mapped, PageTables.All);
            RiscVState state = Machine.Vcpus[hart].GetState<RiscVState>();
            (state.Pc, state.Started, state.Satp) = (program, true, tables.Satp);
            (state.X[9], state.X[18], state.X[19]) = (Counters + (ulong)hart * 64, own, own + Changing);
            (state.X[20], state.X[21], state.X[22], state.X[23]) = (window, entry, own + Mapped >> 2 | PageTables.All, own + Mapped + 0x1000 >> 2 | PageTables.All);
            Machine.Vcpus[hart].SetState(state);
        }
    }

    public Machine Machine => _machine.Machine;

    /// <summary>What a hart can do. "dma", "stop" and "dispose" are done by the host, beside harts that change their code.</summary>
    public static Dictionary<string, string> Activities { get; } = new()
    {
        ["link"] = $"andi t1, t0, 0x3ff\nslli t1, t1, 20\nli t2, {Addi}\nor t1, t1, t2\nsw t1, 0(s3)\nfence.i\njalr ra, 0(s3)",
        ["evict"] = "jalr ra, 0(s2)",
        ["fence"] = "li a7, 0x52464e43\nli a6, 1\nli a0, 0\nli a1, -1\nli a2, 0\nli a3, -1\necall\nli a6, 0\nli a0, 0\nli a1, -1\necall",
        ["page change"] = "sd s6, 0(s5)\nsfence.vma s4, zero\njalr ra, 0(s4)\nsd s7, 0(s5)\nsfence.vma s4, zero\njalr ra, 0(s4)",
        ["exception"] = "li a7, 0x4442434e\nli a6, 2\nli a0, 65\necall",
    };

    /// <summary>The rounds of the slowest hart.</summary>
    public ulong Rounds => Enumerable.Range(0, Harts).Min(hart => _machine.Read(Counters + (ulong)hart * 64));

    /// <summary>Writes into the code that harts run.</summary>
    public void WriteCode(uint value)
    {
        for (ulong hart = 0; hart < Harts; hart++)
            Machine.Memory.TryWrite(new Gpa(Own + hart * OwnSize + Changing + 16), Addi | (value & 0x7ff) << 20);
    }

    public string Describe() => string.Join("; ", Enumerable.Range(0, Harts).Select(hart => $"hart {hart}: {_machine.Read(Counters + (ulong)hart * 64)} rounds"));

    public void Dispose() => _machine.Dispose();

    private static uint Word(string instruction) => BitConverter.ToUInt32(RiscVAssembler.Assemble(instruction, 0));

    private static ExecutionEngine Engine(string name) => name switch
    {
        "translator" => new TranslatorEngine(new TranslatorOptions { CodeCacheSize = (int)CacheSize }),
        "interpreter-loop" => new InterpreterEngine { Dispatch = InterpreterDispatch.Loop, CodeCacheSize = 4 * Harts << 20 },
        _ => RiscVEngines.Create(name),
    };

    /// <summary>Blocks of one instruction each, which follow each other, and a return.</summary>
    private void FillWithBlocks(ulong address, int count)
    {
        var words = new uint[2 * count];
        for (int i = 0; i < words.Length; i += 2)
            (words[i], words[i + 1]) = (Addi, JumpOn);
        words[^1] = Ret;
        Machine.Memory.Write(new Gpa(address), System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(words));
    }

    private sealed class FailingConsole : ISbiConsole
    {
        private ulong _failedAt;

        /// <summary>The rounds of the slowest hart.</summary>
        public Func<ulong> Rounds { get; set; } = () => 0;

        /// <summary>Fails once every hart has gone round since it failed last: the machine stops there.</summary>
        public void Write(ReadOnlySpan<byte> bytes)
        {
            ulong now = Rounds(), failedAt = Volatile.Read(ref _failedAt);
            if (now > failedAt && Interlocked.CompareExchange(ref _failedAt, now, failedAt) == failedAt)
                throw new NotSupportedException(Failure);
        }

        public int Read(Span<byte> buffer) => 0;
    }
}
