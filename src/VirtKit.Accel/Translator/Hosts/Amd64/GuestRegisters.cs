namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Where guest state lives while translated code runs: the registers that compilers use most in host registers, the rest in the context.</summary>
internal static class GuestRegisters
{
    /// <summary>Points <see cref="ContextBias"/> bytes behind the first slot.</summary>
    public const Gp Context = Gp.Rbp;
    public const Gp Budget = Gp.R15;

    /// <summary>Lets every integer register have a one-byte displacement.</summary>
    public const int ContextBias = 128;

    /// <summary>By the calling convention, as the choice of the pinned registers.</summary>
    public const int StackPointer = 2;

    // sp, s0, s1, a0 to a6.
    private static readonly (int Guest, Gp Host)[] Pins =
    [
        (StackPointer, Gp.Rbx), (8, Gp.R12), (9, Gp.R13), (10, Gp.Rsi), (11, Gp.Rdi), (12, Gp.R8), (13, Gp.R9), (14, Gp.R10), (15, Gp.R11), (16, Gp.R14),
    ];

    // ft0 to ft3, fs0, fs1, fa0 to fa7.
    private static readonly (int Guest, Xmm Host)[] VectorPins =
    [
        (10, Xmm.V0), (11, Xmm.V1), (12, Xmm.V2), (13, Xmm.V3), (14, Xmm.V4), (15, Xmm.V5), (16, Xmm.V6), (17, Xmm.V7),
        (0, Xmm.V8), (1, Xmm.V9), (2, Xmm.V10), (3, Xmm.V11), (8, Xmm.V12), (9, Xmm.V13),
    ];

    private static readonly Gp[] Homes = Map();
    private static readonly Xmm[] Vectors = MapVectors();

    public static ReadOnlySpan<(int Guest, Gp Host)> Pinned => Pins;

    /// <summary>The host register of a guest register, or <see cref="Gp.None"/>.</summary>
    public static Gp HomeOf(int register) => Homes[register];

    public static ReadOnlySpan<(int Guest, Xmm Host)> PinnedVectors => VectorPins;

    /// <summary>The host register of a floating-point register, or <see cref="Xmm.None"/>.</summary>
    public static Xmm VectorOf(int register) => Vectors[register];

    public static Mem SlotX(int register) => new(Context, register * 8 - ContextBias);

    public static Mem SlotF(int register) => new(Context, (32 + register) * 8 - ContextBias);

    /// <summary>A field by its distance from the first slot.</summary>
    public static Mem Field(int offset) => new(Context, offset - ContextBias);

    /// <summary>The displacement of a field, as a memory operand has it.</summary>
    public static int Displacement(int offset) => offset - ContextBias;

    private static Gp[] Map()
    {
        var homes = new Gp[32];
        Array.Fill(homes, Gp.None);
        foreach ((int guest, Gp host) in Pins)
            homes[guest] = host;
        return homes;
    }

    private static Xmm[] MapVectors()
    {
        var homes = new Xmm[32];
        Array.Fill(homes, Xmm.None);
        foreach ((int guest, Xmm host) in VectorPins)
            homes[guest] = host;
        return homes;
    }
}
