using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Accel.Translator.X64;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

/// <summary>Translates a block of words without a machine, and disassembles it.</summary>
internal static unsafe class EmittedCode
{
    public static string Of(ulong pc, params uint[] words)
    {
        using ICodeMemory memory = CodeMemory.Allocate(1 << 18);
        using var sites = new RecordTable<Site>(256);
        using var exits = new RecordTable<ExitRecord>(256);
        using var places = new RecordTable<RecentPlace>(256);
        var assembler = new X64Assembler { Cursor = memory.Writable };
        // The stubs of one host's convention, so that the files are the same on all.
        var stubs = new X64Stubs(assembler, HostConvention.SystemV);
        assembler.Cursor = memory.Writable + 0x1000;
        var block = new IrBlock();
        var emitter = new X64Emitter(assembler, stubs, block, sites, exits, places);
        var set = new InstructionSet(RiscVArchitecture.FullIsa);
        var reader = new BlockReader(set, new RecorderTable(set), new IrBuilder(block, emitter));
        reader.Read(pc, IrBlock.MaxInstructions, at =>
        {
            int index = (int)(at - pc) / 4;
            return index < words.Length ? (ushort)(words[index] >> (int)((at & 2) * 8)) : null;
        });
        Assert.True(emitter.TryEmit());
        return HostDisassembler.Disassemble(memory.Writable, 0x1000, (int)(assembler.Cursor - memory.Writable) - 0x1000, stubs);
    }
}
