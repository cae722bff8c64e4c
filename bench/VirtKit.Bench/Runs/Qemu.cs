namespace VirtKit.Bench.Runs;

/// <summary>QEMU's system emulator with its binary translator, on the board that VirtKit's <c>RiscVVirt</c> models.</summary>
/// <param name="program">The program, <c>qemu-system-riscv64</c> or another build of it.</param>
internal sealed class Qemu(string program)
{
    /// <summary>The first line of its version text.</summary>
    public async Task<string> Version(CancellationToken cancellation)
    {
        TimedRun run = await TimedRun.ToEnd(new Invocation(program, "--version"), TimeSpan.FromSeconds(30), cancellation);
        return run.Output.Split('\n')[0].Trim();
    }

    /// <summary>Runs a bare-metal ELF from M-mode.</summary>
    public Invocation Guest(string elf) => new(program, "-M", "virt", "-m", "256M", "-nographic", "-bios", "none", "-kernel", elf);

    /// <summary>The same, counting instructions: slower, and <c>instret</c> is then exact.</summary>
    public Invocation CountingGuest(string elf) => Guest(elf).With("-icount", "shift=0,sleep=off");

    /// <summary>Boots a Linux kernel through QEMU's own OpenSBI.</summary>
    public Invocation Linux(string kernel, string initrd, string append, int cpus, string memory) =>
        new(program, "-M", "virt", "-m", memory, "-smp", $"{cpus}", "-nographic", "-kernel", kernel, "-initrd", initrd, "-append", append);
}
