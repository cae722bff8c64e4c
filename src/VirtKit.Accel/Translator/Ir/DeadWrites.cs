namespace VirtKit.Accel.Translator.Ir;

/// <summary>Removes writes of registers that nothing can see, and counts the uses of what remains: one walk from the end. Where an instruction may leave the
/// block, every register can be seen.</summary>
internal static class DeadWrites
{
    public static void Run(IrBlock block)
    {
        Span<IrOp> ops = block.Ops.AsSpan(0, block.OpCount);
        ulong dead = 0;
        foreach (ref IrOp op in ops)
            op.Uses = 0;
        for (int i = ops.Length - 1; i >= 0; i--)
        {
            ref IrOp op = ref ops[i];
            switch (op.Code)
            {
                case IrCode.WriteInteger:
                    if ((dead >> op.Detail & 1) != 0)
                    {
                        op.Code = IrCode.None;
                        continue;
                    }

                    dead |= 1UL << op.Detail;
                    break;
                case IrCode.Load or IrCode.Atomic or IrCode.Float or IrCode.Store or IrCode.UseFloat or IrCode.Fallback:
                    dead = 0;
                    break;
                case < IrCode.Load when op.Uses == 0:
                    op.Code = IrCode.None;
                    continue;
                case IrCode.ReadInteger:
                    dead &= ~(1UL << op.Detail);
                    break;
            }

            Use(ops, op.A);
            Use(ops, op.B);
            Use(ops, op.C);
        }
    }

    private static void Use(Span<IrOp> ops, short value)
    {
        if (value >= 0 && ops[value].Uses < byte.MaxValue)
            ops[value].Uses++;
    }
}
