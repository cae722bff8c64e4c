using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>Where translated code finds what it uses: distances in bytes from the CPU's first slot.</summary>
internal static unsafe class ContextLayout
{
    /// <summary>The <see cref="TranslatorContext"/> itself.</summary>
    public static readonly int Context;

    public static readonly int Pc, Attention, FloatReady, Spilled, ReadTlb, WriteTlb, Jumps, Budget, Fallback, Exit, ExitKind,
        Box, SignOfSingle, SignOfDouble, ControlAtEntry, Control, RecentPages, RecentNever, RecentMissesLeft, RecentAreUsed;

    /// <summary>The distance of the interpreter's context from the <see cref="TranslatorContext"/>.</summary>
    public static readonly int Interpreter;

    static ContextLayout()
    {
        TranslatorContext context = default;
        byte* slots = (byte*)(&context.Interpreter + 1);
        CpuContext* cpu = &context.Interpreter.Cpu;
        Context = (int)((byte*)&context - slots);
        Interpreter = (int)((byte*)&context.Interpreter - (byte*)&context);
        Pc = (int)((byte*)&cpu->Pc - slots);
        Attention = (int)((byte*)&cpu->Attention - slots);
        FloatReady = (int)((byte*)&cpu->FloatReady - slots);
        ReadTlb = (int)((byte*)&cpu->ReadTlb - slots);
        WriteTlb = (int)((byte*)&cpu->WriteTlb - slots);
        Spilled = (int)((byte*)&context.Spilled - slots);
        Jumps = (int)((byte*)&context.Jumps - slots);
        Budget = (int)((byte*)&context.Budget - slots);
        Fallback = (int)((byte*)&context.Fallback - slots);
        Exit = (int)((byte*)&context.Exit - slots);
        ExitKind = (int)((byte*)&context.ExitKind - slots);
        Box = (int)((byte*)&context.Masks.Box - slots);
        SignOfSingle = (int)((byte*)&context.Masks.SignOfSingle - slots);
        SignOfDouble = (int)((byte*)&context.Masks.SignOfDouble - slots);
        ControlAtEntry = (int)((byte*)&context.Masks.ControlAtEntry - slots);
        Control = (int)((byte*)&context.Masks.Control - slots);
        RecentPages = (int)((byte*)&context.Recent.Entries - slots);
        RecentNever = (int)((byte*)&context.Recent.Never - slots);
        RecentMissesLeft = (int)((byte*)&context.Recent.Left - slots);
        RecentAreUsed = (int)((byte*)&context.Recent.AreUsed - slots);
    }
}
