using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.RiscV.Extensions;

/// <summary>What the decoder keeps of floating-point arithmetic in <see cref="Operands.Imm"/>.</summary>
internal static class FloatOperands
{
    extension(in Operands o)
    {
        /// <summary>The instruction's rm field (RV-Unpriv §20.2), where the format has one.</summary>
        public RoundingMode RoundingMode => (RoundingMode)(o.Imm & 7);

        /// <summary>The third source of a fused multiply-add.</summary>
        public int Rs3 => o.Imm >> 8;
    }
}
