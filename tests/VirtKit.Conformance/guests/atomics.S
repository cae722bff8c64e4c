# LR/SC and AMO where the architecture leaves no choice (RV-Unpriv, "A").
        .include "guest.inc"

main:   la s0, cell
        la s1, other

        test 1                          # SC without a reservation fails with a code that is not 0 and stores nothing
        sd zero, 0(s0)
        sc.d a0, s0, (s0)               # whatever was reserved is gone behind this
        li a1, 7
        sc.d a0, a1, (s0)
        beqz a0, fail
        ld a2, 0(s0)
        same a2, zero

        test 2                          # LR then SC succeeds, once
        lr.d a0, (s0)
        sc.d a2, a1, (s0)
        bnez a2, fail
        ld a0, 0(s0)
        equal a0, 7
        sc.d a2, zero, (s0)
        beqz a2, fail
        ld a0, 0(s0)
        equal a0, 7

        test 3                          # SC to another address fails and ends the reservation
        lr.d a0, (s0)
        sc.d a2, zero, (s1)
        beqz a2, fail
        sc.d a2, zero, (s0)
        beqz a2, fail

        test 4                          # a word is sign-extended, and its SC leaves its neighbour
        li a0, 0x12345678f0000001
        sd a0, 0(s0)
        lr.w a1, (s0)
        li a2, 5
        sc.w a3, a2, (s0)
        bnez a3, fail
        equal a1, 0xfffffffff0000001
        ld a0, 0(s0)
        equal a0, 0x1234567800000005

        test 5                          # a later LR replaces the reservation
        lr.d a0, (s0)
        lr.d a0, (s1)
        sc.d a2, zero, (s1)
        bnez a2, fail

        test 6                          # ordering bits change nothing here; source and destination may be one register
        lr.d.aqrl a0, (s0)
        sc.d.aqrl a0, a0, (s0)
        bnez a0, fail
        mv a0, s0
        lr.d a0, (a0)
        ld a1, 0(s0)
        same a0, a1

        test 7                          # AMOs give the old value; words are sign-extended and compared as words
        li a0, 0xffffffff80000000
        sw a0, 0(s0)
        li a1, 0x100000001
        amoadd.w a2, a1, (s0)
        same a2, a0
        lw a2, 0(s0)
        equal a2, 0xffffffff80000001
        li a1, 5
        amomax.w a2, a1, (s0)
        lw a2, 0(s0)
        equal a2, 5
        li a1, -1
        amomaxu.w a2, a1, (s0)
        lw a2, 0(s0)
        equal a2, -1
        amominu.w a2, zero, (s0)
        lwu a2, 0(s0)
        equal a2, 0
        li a1, -3
        amomin.w zero, a1, (s0)
        lw a2, 0(s0)
        equal a2, -3
        li a1, 1
        sd a1, 0(s0)
        amoswap.d a1, a1, (s0)
        equal a1, 1
        li a1, 0xf0
        amoor.d a2, a1, (s0)
        amoxor.d a2, a1, (s0)
        equal a2, 0xf1
        amoand.d a2, zero, (s0)
        equal a2, 1
        ld a2, 0(s0)
        equal a2, 0

        test 8                          # misaligned ones trap, as a misaligned access or an access fault, and name the address
        addi s7, s0, 4
        la s11, 1f
        li s2, NONE
        amoadd.d a0, a1, (s7)
1:      same s3, s7
        li t0, STORE_MISALIGNED
        .ifdef QEMU                     # 7.2 calls it a load
        li t0, LOAD_MISALIGNED
        .endif
        beq s2, t0, 2f
        equal s2, STORE_ACCESS
2:      addi s7, s0, 2
        la s11, 1f
        li s2, NONE
        sc.w a0, a1, (s7)
1:      .ifndef QEMU                    # 7.2 fails the SC without looking
        li t0, STORE_MISALIGNED
        beq s2, t0, 2f
        equal s2, STORE_ACCESS
2:      la s11, 1f
        li s2, NONE
        lr.w a0, (s7)
1:      li t0, LOAD_MISALIGNED
        beq s2, t0, 2f
        equal s2, LOAD_ACCESS
2:
        .endif

        test 9                          # a page of nothing: AMO and SC raise the store's fault, LR the load's
        li s7, 0x10
        .ifndef QEMU                    # 7.2 raises the load's
        expect STORE_ACCESS, amoadd.w a0, a1, (s7)
        .endif
        expect LOAD_ACCESS, lr.w a0, (s7)

        test 10                         # LR has no second source: another encoding is illegal
        expect ILLEGAL, .4byte 0x1015252f
        pass

        .data
        .balign 64
cell:   .dword 0
        .dword 0
        .balign 4096
other:  .dword 0
