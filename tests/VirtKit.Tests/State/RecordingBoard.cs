using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>A board whose guest takes what comes from outside, and whose memory then depends on when it came.</summary>
internal sealed class RecordingBoard : IDisposable
{
    /// <summary>Hart 0 echoes what is typed and asks its host for numbers; hart 1 counts. Both mix what they have seen into memory.</summary>
    private static readonly string Busy = $"""
            li a7, 0x48534d
            li a6, 0
            li a0, 1
            la a1, second
            ecall
            li s0, 0x80400000
            li s2, 0x10000000
        again:
            addi s1, s1, 1
            lbu t0, 5(s2)
            andi t0, t0, 1
            beqz t0, quiet
            lbu t1, 0(s2)
            sb t1, 0(s2)
            slli s4, s4, 5
            add s4, s4, t1
            add s4, s4, s1
        quiet:
            andi t0, s1, 1023
            bnez t0, again
            li a7, {SbiOptions.HypercallExtension}
            li a6, 7
            mv a0, s4
            ecall
            slli s4, s4, 1
            add s4, s4, a1
            li t2, 0x3fff8
            and t2, s1, t2
            add t2, t2, s0
            sd s4, 0(t2)
            j again
        second:
            li s0, 0x80600000
        count:
            addi s1, s1, 1
            slli t0, s1, 3
            li t2, 0x1fff8
            and t0, t0, t2
            add t0, t0, s0
            li t1, 0x80400000
            ld t1, 0(t1)
            add t1, t1, s1
            sd t1, 0(t0)
            j count
        """;

    /// <summary>Sleeps 100 µs at a time, and looks whether something was typed.</summary>
    private const string Idle = """
            li s0, 0x80400000
            li s2, 0x10000000
            li t0, 32
            csrs sie, t0
        again:
            csrr t0, time
            addi t0, t0, 1000
            csrw stimecmp, t0
            wfi
            addi s1, s1, 1
            lbu t0, 5(s2)
            andi t0, t0, 1
            beqz t0, again
            lbu t1, 0(s2)
            sb t1, 0(s2)
            csrr t2, time
            slli s4, s4, 5
            add s4, s4, t2
            sd s4, 0(s0)
            addi s0, s0, 8
            j again
        """;

    public RecordingBoard(string engine, bool idle = false, bool loads = true, ConsoleOverflow overflow = ConsoleOverflow.DropOldest)
    {
        Console = new MemoryConsole(overflow == ConsoleOverflow.Wait ? 64 : 16 << 20, overflow);
        Board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions { Hypercalls = true } }, Engine = RiscVEngines.Create(engine), VcpuCount = 2, WhenHalted = HaltPolicy.Wait,
            },
            Console = Console,
            MemorySize = 16 << 20,
        });
        if (!loads)
            return;
        Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble(idle ? Idle : Busy, RiscVVirt.KernelAddress.Value));
        Board.BootSupervisor(RiscVVirt.KernelAddress);
    }

    public RiscVVirt Board { get; }

    public Machine Machine => Board.Machine;

    public MemoryConsole Console { get; }

    public void Dispose() => Board.Dispose();

    /// <summary>Runs in pieces, while another thread types now and then, until it has typed some.</summary>
    /// <param name="piece">The instructions of a piece.</param>
    /// <param name="typed">The fewest bytes that are typed.</param>
    /// <param name="random">What is typed, and when.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public void RunTypedTo(ulong piece, int typed, Random random, CancellationToken cancellationToken)
    {
        int count = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var typist = new Thread(() =>
        {
            for (; !stop.IsCancellationRequested; Interlocked.Increment(ref count))
            {
                Console.Type([(byte)random.Next(32, 127)]);
                Thread.Sleep(random.Next(3));
            }
        });
        typist.Start();
        while (Volatile.Read(ref count) < typed && !cancellationToken.IsCancellationRequested)
            Machine.Run(piece, cancellationToken);
        stop.Cancel();
        typist.Join();
        // What was typed last is in the recording, rather than behind its end.
        Machine.Run(1, cancellationToken);
    }

    /// <summary>Answers with a number that no second run would give.</summary>
    public sealed class Answers(Random random) : IHypercallHandler
    {
        public int Count { get; private set; }

        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            Count++;
            result = (ulong)random.NextInt64();
            return true;
        }
    }
}
