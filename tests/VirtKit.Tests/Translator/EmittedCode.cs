using System.Runtime.InteropServices;
using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Guests.RiscV;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Accel.Translator.Hosts.Amd64;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

/// <summary>Translates a block of words without a machine, and disassembles it.</summary>
internal static unsafe class EmittedCode
{
    public static string Of(ulong pc, params uint[] words)
    {
        using ICodeMemory memory = CodeMemory.Allocate(1 << 18);
        using var records = new CodeRecords(memory.Length);
        var block = new IrBlock(longest: 4);
        // The stubs of one host's convention, so that the files are the same on all.
        var host = new Amd64Code(memory, HostConvention.SystemV, RiscVRegisterFile.Instance, block, records, keepsLoops: true) { Cursor = memory.Writable + 0x1000 };
        var set = new InstructionSet(RiscVArchitecture.FullIsa);
        var reader = new BlockReader(set, new RecorderTable(set), new IrBuilder(block, host, RiscVRegisterFile.Instance));
        reader.Read(pc, IrBlock.MaxInstructions, new Words(pc, words));
        Assert.True(host.TryEmit(out byte* start));
        return host.Disassemble((int)(start - memory.Writable), (int)(host.Cursor - start));
    }

    private sealed class Words(ulong start, uint[] words) : ICodeSource
    {
        public int Read(ulong address, Span<byte> bytes)
        {
            ReadOnlySpan<byte> code = MemoryMarshal.AsBytes<uint>(words);
            int offset = (int)(address - start);
            if (offset >= code.Length)
                return 0;
            code.Slice(offset, bytes.Length).CopyTo(bytes);
            return bytes.Length;
        }
    }
}
