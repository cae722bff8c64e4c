using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>The offsets of what translated code uses of its context.</summary>
internal static unsafe class ContextLayout
{
    public static readonly int Pc, Attention, FloatReady, Fcsr, ReadTlb, WriteTlb, Jumps, Budget, Fallback, Exit, ExitKind,
        Box, SignOfSingle, SignOfDouble, ControlAtEntry, Control, RecentPages, RecentNever, RecentMissesLeft, RecentAreUsed;

    static ContextLayout()
    {
        TranslatorContext context = default;
        byte* start = (byte*)&context;
        HartContext* hart = &context.Interpreter.Hart;
        Pc = (int)((byte*)&hart->State.Pc - start);
        Attention = (int)((byte*)&hart->Attention - start);
        FloatReady = (int)((byte*)&hart->FloatReady - start);
        Fcsr = (int)((byte*)&hart->State.Fcsr - start);
        ReadTlb = (int)((byte*)&hart->ReadTlb - start);
        WriteTlb = (int)((byte*)&hart->WriteTlb - start);
        Jumps = (int)((byte*)&context.Jumps - start);
        Budget = (int)((byte*)&context.Budget - start);
        Fallback = (int)((byte*)&context.Fallback - start);
        Exit = (int)((byte*)&context.Exit - start);
        ExitKind = (int)((byte*)&context.ExitKind - start);
        Box = (int)((byte*)&context.Masks.Box - start);
        SignOfSingle = (int)((byte*)&context.Masks.SignOfSingle - start);
        SignOfDouble = (int)((byte*)&context.Masks.SignOfDouble - start);
        ControlAtEntry = (int)((byte*)&context.Masks.ControlAtEntry - start);
        Control = (int)((byte*)&context.Masks.Control - start);
        RecentPages = (int)((byte*)&context.Recent.Entries - start);
        RecentNever = (int)((byte*)&context.Recent.Never - start);
        RecentMissesLeft = (int)((byte*)&context.Recent.Left - start);
        RecentAreUsed = (int)((byte*)&context.Recent.AreUsed - start);
    }
}
