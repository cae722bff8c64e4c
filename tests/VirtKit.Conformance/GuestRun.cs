using System.Text;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Engines;
using VirtKit.RiscV;

namespace VirtKit.Conformance;

/// <summary>Runs one self-checking ELF file from machine mode to its result in <c>tohost</c>, as the front-end server of a test chip would: an odd value ends
/// (1 passed, otherwise twice the number of the failed check and one), a command of device 1 prints a character.</summary>
internal sealed class GuestRun : IDisposable
{
    // In virtual time: a look every 1,000 instructions, an end after 20 million. Waiting counts as running does.
    private const ulong Look = 1_000 * 10, End = 20_000_000UL * 10, MemorySize = 128 << 20;

    private readonly RiscVVirt _board;
    private readonly Gpa _toHost;
    private readonly ClockTimer _timer;
    private readonly StringBuilder _output = new();
    private ulong? _result;

    private GuestRun(ElfImage image, Gpa toHost, ExecutionEngine engine)
    {
        _toHost = toHost;
        _board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine, NanosecondsPerInstruction = 10 },
            MemorySize = MemorySize,
        });
        image.Load(_board.Machine.Memory);
        _board.BootFirmware(image.Entry, image.Entry);
        _timer = _board.Machine.Clock.CreateTimer(this, Poll);
        _timer.Set(Look);
    }

    /// <summary>Runs a file.</summary>
    /// <returns>What went wrong, or <see langword="null"/> where it passed.</returns>
    public static string? Failure(byte[] elf, ExecutionEngine engine)
    {
        ElfImage image = ElfImage.Parse(elf, ElfMachine.RiscV);
        if (!image.TryFindSymbol("tohost", out Gva toHost))
            return "the file has no symbol tohost";
        using var run = new GuestRun(image, image.ToPhysical(toHost), engine);
        VcpuExit exit = run._board.Machine.Run();
        return run._result switch
        {
            1 => null,
            { } result => $"check {result >> 1} failed. {run._output}".TrimEnd(),
            null when exit.Reason == ExitReason.Kicked => run.Describe("it did not end"),
            null => run.Describe($"the machine stopped: {exit}"),
        };
    }

    public void Dispose()
    {
        _timer.Dispose();
        _board.Dispose();
    }

    private void Poll()
    {
        Machine machine = _board.Machine;
        if (machine.Memory.TryRead(_toHost, out ulong value) && value != 0)
        {
            if ((value & 1) != 0)
            {
                _result = value;
                machine.RequestShutdown(0);
                return;
            }

            if (value >> 48 == 0x0101 && _output.Length < 10_000)
                _output.Append((char)(value & 0xff));
            machine.Memory.TryWrite(_toHost, 0UL);
        }

        if (machine.Clock.Now >= End)
            machine.RequestStop(new VcpuExit(ExitReason.Kicked));
        else
            _timer.Set(machine.Clock.Now + Look);
    }

    private string Describe(string what)
    {
        RiscVState state = _board.Machine.Vcpus[0].GetState<RiscVState>();
        return $"{what}; pc {state.Pc:x}, {state.Privilege}, mcause {state.Mcause:x}, mepc {state.Mepc:x}, mtval {state.Mtval:x}, scause {state.Scause:x}, gp {state.X[3]}. {_output}";
    }
}
