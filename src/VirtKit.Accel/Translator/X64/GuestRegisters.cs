using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.X64;

/// <summary>Where guest state lives while translated code runs: the registers that compilers use most in host registers, the rest in the context.</summary>
internal static unsafe class GuestRegisters
{
    /// <summary>Points 128 bytes into the context, so that every integer register has a one-byte displacement.</summary>
    public const Gp Context = Gp.Rbp;
    public const Gp Budget = Gp.R15;
    public const int ContextBias = 128;

    // sp, s0, s1, a0 to a6.
    private static readonly (int Guest, Gp Host)[] Pins =
    [
        (2, Gp.Rbx), (8, Gp.R12), (9, Gp.R13), (10, Gp.Rsi), (11, Gp.Rdi), (12, Gp.R8), (13, Gp.R9), (14, Gp.R10), (15, Gp.R11), (16, Gp.R14),
    ];

    private static readonly Gp[] Homes = Map();

    public static ReadOnlySpan<(int Guest, Gp Host)> Pinned => Pins;

    /// <summary>The host register of a guest register, or <see cref="Gp.None"/>.</summary>
    public static Gp HomeOf(int register) => Homes[register];

    public static Mem SlotX(int register) => new(Context, register * 8 - ContextBias);

    public static Mem SlotF(int register) => new(Context, (32 + register) * 8 - ContextBias);

    /// <summary>A field of the context by its offset.</summary>
    public static Mem Field(int offset) => new(Context, offset - ContextBias);

    private static Gp[] Map()
    {
        var homes = new Gp[32];
        Array.Fill(homes, Gp.None);
        foreach ((int guest, Gp host) in Pins)
            homes[guest] = host;
        return homes;
    }
}

/// <summary>The offsets of what translated code uses of its context.</summary>
internal static unsafe class ContextLayout
{
    public static readonly int Pc, Attention, FloatReady, HostRounding, ReadTlb, WriteTlb, Jumps, Budget, Fallback, Exit, ExitKind;

    static ContextLayout()
    {
        TranslatorContext context = default;
        byte* start = (byte*)&context;
        HartContext* hart = &context.Interpreter.Hart;
        Pc = (int)((byte*)&hart->State.Pc - start);
        Attention = (int)((byte*)&hart->Attention - start);
        FloatReady = (int)((byte*)&hart->FloatReady - start);
        HostRounding = (int)((byte*)&hart->HostRounding - start);
        ReadTlb = (int)((byte*)&hart->ReadTlb - start);
        WriteTlb = (int)((byte*)&hart->WriteTlb - start);
        Jumps = (int)((byte*)&context.Jumps - start);
        Budget = (int)((byte*)&context.Budget - start);
        Fallback = (int)((byte*)&context.Fallback - start);
        Exit = (int)((byte*)&context.Exit - start);
        ExitKind = (int)((byte*)&context.ExitKind - start);
    }
}
