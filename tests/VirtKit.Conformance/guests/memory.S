# Plain memory: misaligned access, code that changes itself, instructions at the edge of what answers.
        .include "guest.inc"

main:   open_memory
        la s0, frame0

        test 1                          # every width at every offset, also across 4 KiB
        li s7, 4088
        add s7, s0, s7
        li s8, 16
1:      li a1, 0x8182838485868788
        sd a1, 0(s7)
        ld a0, 0(s7)
        same a0, a1
        lw a0, 0(s7)
        equal a0, 0xffffffff85868788
        lwu a0, 4(s7)
        equal a0, 0x81828384
        lh a0, 1(s7)
        equal a0, 0xffffffffffff8687
        lhu a0, 5(s7)
        equal a0, 0x8283
        lbu a0, 7(s7)
        equal a0, 0x81
        li a1, 0x1122
        sh a1, 3(s7)
        ld a0, 0(s7)
        equal a0, 0x8182831122868788
        sw a1, 2(s7)
        ld a0, 0(s7)
        equal a0, 0x8182000011228788
        fld f0, 0(s7)
        fsd f0, 9(s7)
        ld a1, 9(s7)
        same a0, a1
        addi s7, s7, 1
        addi s8, s8, -1
        bnez s8, 1b

        test 2                          # code changed and fenced is the new code, again and again, in one place
        la s9, patch
        li s8, 0
2:      slli t0, s8, 20
        li t1, 0x00000513               # li a0, s8
        or t0, t0, t1
        sw t0, 0(s9)
        fence.i
        jal ra, patch
        same a0, s8
        addi s8, s8, 1
        li t0, 300
        blt s8, t0, 2b

        test 3                          # on the page that runs, right behind the fence
        la s9, next
        li t0, 0x02a00513               # li a0, 42
        sw t0, 0(s9)
        fence.i
next:   .4byte 0x00000513
        equal a0, 42

        test 4                          # an instruction of four bytes at an odd multiple of two, across 4 KiB
        la s9, frame1
        addi s9, s9, -2
        li t0, 0x00700513               # li a0, 7
        sh t0, 0(s9)
        srli t0, t0, 16
        sh t0, 2(s9)
        li t0, 0x8082                   # ret
        sh t0, 4(s9)
        fence.i
        jalr ra, s9
        equal a0, 7

        test 5                          # a jump drops bit 0 of its target
        la t0, patch + 1
        li a0, 0
        jalr ra, t0
        equal a0, 299

        test 6                          # a store to where nothing answers names its address and leaves registers alone
        li a1, 0x20
        li a0, 1
        expect LOAD_ACCESS, lb a0, 5(a1)
        equal s3, 0x25
        equal a0, 1
        expect STORE_ACCESS, sb a0, 5(a1)
        equal s3, 0x25

        test 7                          # x0 stays zero whatever is loaded into it, and the load is still made
        la t0, frame0
        ld zero, 0(t0)
        same zero, x0
        li t0, 0x20
        expect LOAD_ACCESS, lb zero, 0(a1)
        pass

        .balign 4
patch:  .4byte 0x00000513
        ret
