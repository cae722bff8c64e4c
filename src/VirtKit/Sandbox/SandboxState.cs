using System.Collections.Concurrent;
using VirtKit.Boot;
using VirtKit.Execution;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>A sandbox's state at one moment, from which others begin: memory as an image that each shows copy on write, pages, registers. Immutable and thread-safe.</summary>
/// <remarks>It keeps a few CPUs that sandboxes have given back, so that the next one costs no more than putting it back into this state.</remarks>
/// <param name="program">The program.</param>
/// <param name="image">The content of memory, whose hold goes over to the state.</param>
/// <param name="ranges">The pages.</param>
/// <param name="registers">The registers.</param>
internal sealed class SandboxState(SandboxProgram program, HostMemory image, UserRange[] ranges, RiscVUserRegisters registers)
{
    private const int MostIdle = 16;

    private readonly ConcurrentBag<SandboxCpu> _idle = [];
    private int _holders = 1;

    public SandboxProgram Program => program;

    public HostMemory Image => image;

    public UserRange[] Ranges => ranges;

    /// <summary>Takes a CPU in this state. Of who holds it.</summary>
    public SandboxCpu Take()
    {
        if (_idle.TryTake(out SandboxCpu? cpu))
            return cpu;
        cpu = program.CreateCpu(HostMemory.ViewOf(image), ranges);
        cpu.Hart.UserRegisters = registers;
        cpu.RestartTime();
        return cpu;
    }

    /// <summary>Puts a CPU that shows this state's image back into this state.</summary>
    public void Restore(SandboxCpu cpu)
    {
        cpu.Window.Revert(image);
        bool writesCode = cpu.Space.Ranges != ranges || Array.Exists(ranges, range => range.Access.HasFlag(ElfAccess.Write | ElfAccess.Execute));
        cpu.Space.Ranges = ranges;
        if (writesCode)
            cpu.Hart.Engine?.CodeBytesChanged();
        cpu.Hart.UserRegisters = registers;
        cpu.RestartTime();
    }

    /// <summary>Gives a CPU back that shows this state's image; it may be used by the next sandbox, or not at all.</summary>
    public void Return(SandboxCpu cpu)
    {
        if (_idle.Count >= MostIdle)
        {
            cpu.Dispose();
            return;
        }

        Restore(cpu);
        _idle.Add(cpu);
    }

    /// <summary>Keeps it until <see cref="Release"/>: a sandbox that begins from it or goes back to it, a snapshot.</summary>
    /// <exception cref="ObjectDisposedException">Nobody holds it any more.</exception>
    public SandboxState Hold()
    {
        int holders;
        do
        {
            holders = Volatile.Read(ref _holders);
            ObjectDisposedException.ThrowIf(holders == 0, typeof(SandboxSnapshot));
        }
        while (Interlocked.CompareExchange(ref _holders, holders + 1, holders) != holders);
        return this;
    }

    /// <summary>Ends what <see cref="Hold"/> or the maker began.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) != 0)
            return;
        while (_idle.TryTake(out SandboxCpu? cpu))
            cpu.Dispose();
        image.Release();
        program.Leave();
    }
}
