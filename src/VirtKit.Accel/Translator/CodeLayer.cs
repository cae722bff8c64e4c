using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>Code memory with its translations, the emitter that fills it, and the records that the translations refer to.</summary>
internal sealed unsafe class CodeLayer : IDisposable
{
    private readonly byte* _firstBlock;

    /// <param name="set">The guest's instructions.</param>
    /// <param name="guest">Its registers.</param>
    /// <param name="options">The size, and whether loops are kept.</param>
    /// <param name="before">The records of the layer below, from whose last number on this one's are counted; <see langword="null"/> for the first layer.</param>
    public CodeLayer(GuestInstructions set, GuestRegisterFile guest, TranslatorOptions options, CodeRecords? before)
    {
        Pages = new CodePages(set);
        Block = new IrBlock(set.MaxLength);
        Memory = CodeMemory.Allocate(options.CodeCacheSize);
        Records = new CodeRecords(options.CodeCacheSize, before);
        Host = HostCode.Create(Memory, guest, Block, Records, keepsLoops: !options.CrossCheck);
        _firstBlock = Host.Cursor;
        Reader = new BlockReader(set, set.Table<RecorderTable, RecorderTable>(static s => new(s)), new IrBuilder(Block, Host, guest)) { IsolatesEffects = options.CrossCheck };
    }

    public CodePages Pages { get; }

    public IrBlock Block { get; }

    public ICodeMemory Memory { get; }

    public CodeRecords Records { get; }

    public IHostCode Host { get; }

    public BlockReader Reader { get; }

    /// <summary>Bytes of code.</summary>
    public long CodeSize => Host.Cursor - Memory.Writable;

    /// <summary>Whether there is a translation.</summary>
    public bool HasBlocks => Host.Cursor != _firstBlock;

    /// <summary>Whether another block may not fit.</summary>
    public bool IsFull => Memory.Writable + Memory.Length - Host.Cursor < Host.MaxBlockSize || !Records.HaveRoom || Pages.Size > Memory.Length;

    /// <summary>An address in the executable view, of one in the writable view.</summary>
    public byte* Executable(byte* writable) => Memory.Executable + (writable - Memory.Writable);

    /// <summary>Drops all translations. No vCPU executes them.</summary>
    public void Clear()
    {
        Pages.Clear();
        Records.Clear();
        Host.Cursor = _firstBlock;
    }

    public void Dispose()
    {
        Pages.Dispose();
        Records.Dispose();
        Memory.Dispose();
    }
}
