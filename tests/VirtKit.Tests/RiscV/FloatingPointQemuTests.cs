using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Execution.FloatingPoint;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>SoftFloat and <see cref="NanBox"/> against the instructions as QEMU executes them: whole registers, every operation, format and rounding
/// mode.</summary>
public sealed class FloatingPointQemuTests
{
    private const int Cases = 200_000;

    [Fact]
    public async Task RandomRegisters_EveryInstruction_AgreesWithQemu()
    {
        string qemu = Require.Program("qemu-riscv64", "qemu-user");
        string compiler = Require.RiscVLinuxCompiler();
        string folder = Directory.CreateTempSubdirectory("virtkit-fp-").FullName;
        try
        {
            string probe = Path.Combine(folder, "probe");
            await Run(compiler, ["-O2", "-static", "-o", probe, ProbeSource()], []);
            FloatingPointOperands operands = new();
            Record[] records = new Record[Cases];
            for (int i = 0; i < records.Length; i++)
                records[i] = i % 2 == 0 ? Choose<Binary32, Binary64>(operands, 0) : Choose<Binary64, Binary32>(operands, 1);

            byte[] output = await Run(qemu, [probe], MemoryMarshal.AsBytes<Record>(records).ToArray());
            Compare(records, MemoryMarshal.Cast<byte, Answer>(output), operands.Seed);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Compare(ReadOnlySpan<Record> records, ReadOnlySpan<Answer> answers, int seed)
    {
        Assert.Equal(records.Length, answers.Length);
        for (int i = 0; i < records.Length; i++)
        {
            Record r = records[i];
            Answer actual = r.Format == 0 ? Execute<Binary32, Binary64>(r) : Execute<Binary64, Binary32>(r);
            if (actual != answers[i])
            {
                Assert.Fail($"{(FloatingPointOperation)r.Operation} format {r.Format} mode {r.Mode} a={r.A:x} b={r.B:x} c={r.C:x}: "
                    + $"{actual}, QEMU {answers[i]}; seed {seed}");
            }
        }
    }

    private static Record Choose<TFormat, TSource>(FloatingPointOperands operands, byte format)
        where TFormat : struct, IFloatFormat
        where TSource : struct, IFloatFormat
    {
        FloatingPointOperation operation = operands.Operation();
        (ulong a, ulong b, ulong c) = operands.Triple<TFormat>();
        (a, b, c) = (Register<TFormat>(a), Register<TFormat>(b), Register<TFormat>(c));
        if (operation.TakesInteger())
            a = operands.Integer();
        else if (operation is FloatingPointOperation.Convert)
            a = Register<TSource>(operands.Number<TSource>());
        if (operands.OneIn(20) && !operation.TakesInteger())
            a ^= 1UL << 32;
        return new((byte)operation, format, (byte)operands.Mode(), a, b, c);
    }

    /// <summary>What an instruction does around the operation: unbox what it reads, box what it writes.</summary>
    private static Answer Execute<TFormat, TSource>(Record r)
        where TFormat : struct, IFloatFormat
        where TSource : struct, IFloatFormat
    {
        FloatingPointOperation operation = (FloatingPointOperation)r.Operation;
        ulong a = operation.TakesInteger() ? r.A : operation is FloatingPointOperation.Convert ? Operand<TSource>(r.A) : Operand<TFormat>(r.A);
        (ulong b, ulong c) = (Operand<TFormat>(r.B), Operand<TFormat>(r.C));
        (ulong result, uint flags) = FloatingPointOperations.Run<TFormat, TSource>(operation, a, b, c, (RoundingMode)r.Mode);
        return new(operation.ReturnsInteger() ? result : Register<TFormat>(result), flags);
    }

    private static ulong Operand<TFormat>(ulong register) => typeof(TFormat) == typeof(Binary32) ? NanBox.Unbox(register) : register;

    private static ulong Register<TFormat>(ulong bits) => typeof(TFormat) == typeof(Binary32) ? NanBox.Box(bits) : bits;

    private static string ProbeSource([CallerFilePath] string file = "") => Path.Combine(Path.GetDirectoryName(file)!, "FloatingPointProbe.c");

    private static async Task<byte[]> Run(string program, string[] arguments, byte[] input)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        using MemoryStream output = new();
        using CancellationTokenSource limit = new(Hang.Limit);
        Task copy = process.StandardOutput.BaseStream.CopyToAsync(output, limit.Token);
        await process.StandardInput.BaseStream.WriteAsync(input, limit.Token);
        process.StandardInput.Close();
        await copy;
        await process.WaitForExitAsync(limit.Token);
        Assert.Equal(0, process.ExitCode);
        return output.ToArray();
    }

    [StructLayout(LayoutKind.Explicit, Size = 32)]
    private readonly struct Record(byte operation, byte format, byte mode, ulong a, ulong b, ulong c)
    {
        [FieldOffset(0)]
        public readonly byte Operation = operation;
        [FieldOffset(1)]
        public readonly byte Format = format;
        [FieldOffset(2)]
        public readonly byte Mode = mode;
        [FieldOffset(8)]
        public readonly ulong A = a;
        [FieldOffset(16)]
        public readonly ulong B = b;
        [FieldOffset(24)]
        public readonly ulong C = c;
    }

    private readonly record struct Answer(ulong Result, ulong Flags);
}
