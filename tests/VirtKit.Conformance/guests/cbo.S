# Cache blocks: CBO.ZERO, the others, and the fields of menvcfg and senvcfg that let lesser modes use them (Zicboz, Zicbom).
        .include "guest.inc"

.macro cbo.inval base
        .insn i 0x0f, 2, x0, \base, 0
.endm
.macro cbo.clean base
        .insn i 0x0f, 2, x0, \base, 1
.endm
.macro cbo.flush base
        .insn i 0x0f, 2, x0, \base, 2
.endm
.macro cbo.zero base
        .insn i 0x0f, 2, x0, \base, 4
.endm

.equ CBIE, 3 << 4
.equ CBCFE, 1 << 6
.equ CBZE, 1 << 7

main:   .ifdef QEMU                     # 7.2 has neither
        pass
        .endif
        open_memory
        csrw MENVCFG, zero
        csrw senvcfg, zero
        la s0, frame0

        test 1                          # zeroes the 64 bytes around the address and nothing else
        li t0, -1
        mv t1, s0
        li t2, 24
1:      sd t0, 0(t1)
        addi t1, t1, 8
        addi t2, t2, -1
        bnez t2, 1b
        addi s7, s0, 101                # in the second block
        cbo.zero s7
        ld a0, 56(s0)
        equal a0, -1
        ld a0, 128(s0)
        equal a0, -1
        addi t1, s0, 64
        li t2, 8
2:      ld a0, 0(t1)
        same a0, zero
        addi t1, t1, 8
        addi t2, t2, -1
        bnez t2, 2b

        test 2                          # M-mode may all of them; bytes stay
        expect NONE, cbo.inval s0
        expect NONE, cbo.clean s0
        expect NONE, cbo.flush s0
        ld a0, 0(s0)
        equal a0, -1

        test 3                          # S-mode needs menvcfg, U-mode senvcfg as well
        run S, do_zero
        equal s2, ILLEGAL
        li s7, CBZE
        csrw MENVCFG, s7
        run S, do_zero
        equal s2, NONE
        run U, do_zero
        equal s2, ILLEGAL
        csrw senvcfg, s7
        run U, do_zero
        equal s2, NONE
        run S, do_clean
        equal s2, ILLEGAL
        li s7, CBCFE
        csrs MENVCFG, s7
        run S, do_clean
        equal s2, NONE
        run U, do_clean
        equal s2, ILLEGAL
        csrs senvcfg, s7
        run U, do_clean
        equal s2, NONE
        run S, do_inval
        equal s2, ILLEGAL
        li s7, CBIE
        csrs MENVCFG, s7
        run S, do_inval
        equal s2, NONE
        run U, do_inval
        equal s2, ILLEGAL
        csrs senvcfg, s7
        run U, do_inval
        equal s2, NONE

        test 4                          # CBIE takes no reserved value
        csrw MENVCFG, zero
        li t0, 2 << 4
        csrw MENVCFG, t0
        csrr a0, MENVCFG
        andi a0, a0, CBIE
        li t0, 2 << 4
        beq a0, t0, fail

        test 5                          # a fault is a store's, and names an address in the block
        li s7, 0x50
        expect STORE_ACCESS, cbo.zero s7
        andi s3, s3, ~63
        equal s3, 0x40
        pass

do_zero: cbo.zero s0
        leave
do_clean: cbo.clean s0
        leave
do_inval: cbo.inval s0
        leave
