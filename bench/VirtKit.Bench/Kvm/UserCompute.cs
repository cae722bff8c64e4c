using System.Diagnostics;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.X86;

namespace VirtKit.Bench.Kvm;

/// <summary><c>bench/kvm/compute.c</c> in ring 3 without a guest kernel.</summary>
internal static class UserCompute
{
    /// <summary>The checksum's lowest byte, which the program ends with.</summary>
    public const int ExpectedCode = 180;

    /// <returns>Nanoseconds from entry to the exit call.</returns>
    public static double Run(byte[] executable)
    {
        using var program = new X64UserProgram(new X64UserOptions { Engine = new KvmEngine() });
        program.Load(ElfImage.Parse(executable, ElfMachine.X64));
        long start = Stopwatch.GetTimestamp();
        X64UserExit exit = program.Run(TimeSpan.FromMinutes(1));
        double nanoseconds = Stopwatch.GetElapsedTime(start).TotalNanoseconds;
        return exit.Reason == X64UserExitReason.SystemCall && program.Registers is { Rax: 231, Rdi: ExpectedCode }
            ? nanoseconds
            : throw new BenchException($"The program came back with {exit}, RAX {program.Registers.Rax}, RDI {program.Registers.Rdi}.");
    }
}
