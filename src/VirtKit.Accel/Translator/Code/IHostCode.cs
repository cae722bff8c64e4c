using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator.Code;

/// <summary>One kind of processor as the target of translation: everything that knows its machine code stands behind this. Addresses are in the writable view of code
/// memory unless something else is said.</summary>
internal unsafe interface IHostCode : IIrTarget
{
    /// <summary>More bytes than any block's code takes.</summary>
    int MaxBlockSize { get; }

    /// <summary>Behind the code that there is.</summary>
    byte* Cursor { get; set; }

    /// <summary>A function (context, code in the executable view) that runs translated code until it leaves.</summary>
    byte* Enter { get; }

    /// <summary>Emits the block that was recorded last, behind the cursor.</summary>
    /// <param name="start">Its first instruction, which is its entry.</param>
    /// <returns>Whether it could be done; if not, an expression was too large, and the cursor is where it was.</returns>
    bool TryEmit(out byte* start);

    /// <summary>Makes an exit jump, whose code others may be running.</summary>
    /// <param name="target">In the executable view.</param>
    void Link(in ExitRecord exit, byte* target);

    /// <summary>Makes an access, whose code others may be running, use the TLB lookup at once.</summary>
    void DisableProbe(in PageProbe probe);

    /// <summary>Code as text.</summary>
    /// <param name="start">The first byte's offset.</param>
    string Disassemble(int start, int length);
}
