/* Runs single floating-point instructions for FloatingPointQemuTests. Input: records of four 64-bit words, operation | format << 8 | rounding mode << 16
   and three register values; output: for each the result register and fflags. Operations are numbered as in FloatingPointOperation.cs. */
#include <stdint.h>
#include <stdio.h>

#define RUN(key, text)                                                                                                      \
    case key:                                                                                                               \
        __asm__ volatile("csrw fcsr, %5\n fmv.d.x ft0, %2\n fmv.d.x ft1, %3\n fmv.d.x ft2, %4\n" text "\n frflags %1"         \
                         : "=&r"(result), "=&r"(flags) : "r"(in[1]), "r"(in[2]), "r"(in[3]), "r"(mode << 5)                 \
                         : "ft0", "ft1", "ft2", "ft3");                                                                     \
        break;
#define TO_FLOAT(key, single, number, operands) \
    RUN(key, single " ft3, " operands "\n fmv.x.d %0, ft3") RUN(key | 256, number " ft3, " operands "\n fmv.x.d %0, ft3")
#define TO_INTEGER(key, single, number, operands) RUN(key, single " %0, " operands) RUN(key | 256, number " %0, " operands)

int main(void)
{
    uint64_t in[4];
    while (fread(in, sizeof in, 1, stdin) == 1) {
        uint64_t result, flags, mode = in[0] >> 16;
        switch (in[0] & 0xffff) {
            TO_FLOAT(0, "fadd.s", "fadd.d", "ft0, ft1")
            TO_FLOAT(1, "fsub.s", "fsub.d", "ft0, ft1")
            TO_FLOAT(2, "fmul.s", "fmul.d", "ft0, ft1")
            TO_FLOAT(3, "fdiv.s", "fdiv.d", "ft0, ft1")
            TO_FLOAT(4, "fsqrt.s", "fsqrt.d", "ft0")
            TO_FLOAT(5, "fmadd.s", "fmadd.d", "ft0, ft1, ft2")
            TO_FLOAT(6, "fmin.s", "fmin.d", "ft0, ft1")
            TO_FLOAT(7, "fmax.s", "fmax.d", "ft0, ft1")
            TO_INTEGER(8, "feq.s", "feq.d", "ft0, ft1")
            TO_INTEGER(9, "flt.s", "flt.d", "ft0, ft1")
            TO_INTEGER(10, "fle.s", "fle.d", "ft0, ft1")
            TO_INTEGER(11, "fclass.s", "fclass.d", "ft0")
            TO_FLOAT(12, "fcvt.s.d", "fcvt.d.s", "ft0")
            TO_INTEGER(13, "fcvt.w.s", "fcvt.w.d", "ft0, dyn")
            TO_INTEGER(14, "fcvt.wu.s", "fcvt.wu.d", "ft0, dyn")
            TO_INTEGER(15, "fcvt.l.s", "fcvt.l.d", "ft0, dyn")
            TO_INTEGER(16, "fcvt.lu.s", "fcvt.lu.d", "ft0, dyn")
            TO_FLOAT(17, "fcvt.s.w", "fcvt.d.w", "%2")
            TO_FLOAT(18, "fcvt.s.wu", "fcvt.d.wu", "%2")
            TO_FLOAT(19, "fcvt.s.l", "fcvt.d.l", "%2")
            TO_FLOAT(20, "fcvt.s.lu", "fcvt.d.lu", "%2")
        default:
            return 1;
        }
        uint64_t out[2] = {result, flags};
        fwrite(out, sizeof out, 1, stdout);
    }
    return 0;
}
