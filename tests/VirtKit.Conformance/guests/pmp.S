# Physical memory protection (RV-Priv 3.7).
        .include "guest.inc"

.equ PR, 1
.equ PW, 2
.equ PX, 4
.equ TOR, 1 << 3
.equ NA4, 2 << 3
.equ NAPOT, 3 << 3
.equ LOCK, 1 << 7

# Configuration byte of an entry 0 to 7.
.macro configure entry, bits
        li t0, 0xff << (\entry * 8)
        csrc pmpcfg0, t0
        li t0, (\bits) << (\entry * 8)
        csrs pmpcfg0, t0
        sfence.vma
.endm

# Address register: a NAPOT region of `size` bytes at the label, or its first byte.
.macro region entry, label, size
        la t0, \label
        srli t0, t0, 2
        li t1, (\size / 8) - 1
        or t0, t0, t1
        csrw pmpaddr\entry, t0
.endm
.macro place entry, label
        la t0, \label
        srli t0, t0, 2
        csrw pmpaddr\entry, t0
.endm

.macro user cause, instruction:vararg
        li t0, MSTATUS_MPP
        csrc mstatus, t0
        li t0, MSTATUS_MPRV
        csrs mstatus, t0
        expect \cause, \instruction
        li t0, MSTATUS_MPRV
        csrc mstatus, t0
.endm

main:   la s0, frame0
        la s1, frame1

        test 1                          # with no entry that matches, U and S reach nothing and M everything
        user LOAD_ACCESS, ld a0, 0(s0)
        same s3, s0
        user STORE_ACCESS, sd a0, 0(s0)
        .ifndef QEMU                    # 7.2 then refuses the MRET instead
        run S, call
        equal s2, FETCH_ACCESS
        la t0, call
        same s3, t0
        .endif
        expect NONE, ld a0, 0(s0)

        test 2                          # NAPOT: 4 KiB, and nothing beside them
        region 0, frame0, 4096
        configure 0, NAPOT | PR | PW
        user NONE, ld a0, 0(s0)
        li t0, 4088
        add s7, s0, t0
        user NONE, sd a0, 0(s7)
        user LOAD_ACCESS, ld a0, 0(s1)
        user LOAD_ACCESS, lb a0, -1(s0)

        test 3                          # permissions one by one
        configure 0, NAPOT | PR
        user NONE, ld a0, 0(s0)
        user STORE_ACCESS, sd a0, 0(s0)
        user STORE_ACCESS, amoadd.d a0, a1, (s0)
        configure 0, NAPOT | PX
        user LOAD_ACCESS, ld a0, 0(s0)
        li t0, 0x00000073               # ecall
        sw t0, 0(s0)
        fence.i
        run U, jump_s0
        equal s2, FETCH_ACCESS          # jump_s0 itself lies outside
        region 1, ram, (1 << 21)
        configure 1, NAPOT | PR | PX
        run U, jump_s0
        equal s2, ECALL_U
        same s4, s0
        configure 0, NAPOT | PR
        run U, jump_s0
        equal s2, FETCH_ACCESS
        same s3, s0

        test 4                          # the entry of the lowest number decides
        user STORE_ACCESS, sd a0, 0(s1)
        user NONE, ld a0, 0(s1)
        configure 0, NAPOT
        user LOAD_ACCESS, ld a0, 0(s0)
        configure 1, 0

        test 5                          # TOR: from the address before to this one
        place 2, frame0
        place 3, frame1
        configure 0, 0
        configure 3, TOR | PR | PW
        user NONE, ld a0, 0(s0)
        user LOAD_ACCESS, ld a0, 0(s1)
        user LOAD_ACCESS, lb a0, -1(s0)
        place 3, frame0                 # empty range
        place 2, frame1
        user LOAD_ACCESS, ld a0, 0(s0)
        configure 3, 0
        place 0, frame1                 # TOR in entry 0 begins at address 0
        configure 0, TOR | PR
        user NONE, ld a0, 0(s0)
        user LOAD_ACCESS, ld a0, 0(s1)
        configure 0, 0

        test 6                          # NA4: four bytes; an access that matches in part fails
        place 0, frame0
        configure 0, NA4 | PR | PW
        user NONE, lw a0, 0(s0)
        user LOAD_ACCESS, lw a0, 4(s0)
        user LOAD_ACCESS, ld a0, 0(s0)
        user NONE, lhu a0, 2(s0)
        region 1, frame0, 4096
        configure 1, NAPOT | PR | PW
        user NONE, lw a0, 4(s0)
        .ifndef QEMU                    # 7.2 splits the access
        user LOAD_ACCESS, ld a0, 0(s0)
        .endif
        user NONE, ld a0, 8(s0)
        configure 0, 0
        configure 1, 0

        test 7                          # the whole address space as one NAPOT region
        li t0, -1
        csrw pmpaddr7, t0
        configure 7, NAPOT | PR | PW | PX
        user NONE, ld a0, 0(s0)
        run S, call
        equal s2, ECALL_S
        .ifndef QEMU                    # 7.2 keeps 64 bits
        csrr a0, pmpaddr7
        li t0, 0x003fffffffffffff       # bits 55:2 of an address
        same a0, t0
        .endif

        test 8                          # pmpcfg1 and pmpcfg3 are RV32's; bits 5 and 6 of an entry stay zero
        expect ILLEGAL, csrr a0, 0x3a1
        expect ILLEGAL, csrr a0, 0x3a3
        .ifndef QEMU                    # 7.2 keeps them
        configure 0, 0x60
        csrr a0, pmpcfg0
        andi a0, a0, 0xff
        equal a0, 0
        .endif

        test 9                          # page tables are read with S-mode's permission: a table out of reach is an access fault
        la t0, table0
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        la t0, table0
        li t1, (0x80000000 >> 2) | 0xcf
        sd t1, 16(t0)
        sfence.vma
        li s7, 0x80000000
        li t0, MSTATUS_SUM
        csrs mstatus, t0
        run S, load_s7
        equal s2, ECALL_S
        region 0, table0, 4096
        configure 0, NAPOT
        run S, load_s7
        equal s2, FETCH_ACCESS
        csrw satp, zero
        configure 0, 0

        test 10                         # a locked entry holds for M-mode too, and cannot be changed
        region 5, frame1, 4096
        configure 5, NAPOT | LOCK | PR
        expect NONE, ld a0, 0(s1)
        expect STORE_ACCESS, sd a0, 0(s1)
        same s3, s1
        configure 5, NAPOT | PR | PW
        expect STORE_ACCESS, sd a0, 0(s1)
        csrr a0, pmpaddr5
        csrw pmpaddr5, zero
        csrr a1, pmpaddr5
        same a0, a1

        test 11                         # a locked TOR entry locks the address below it as well
        place 2, frame1
        place 3, frame2
        configure 3, TOR | LOCK | PR
        csrr a0, pmpaddr2
        csrw pmpaddr2, zero
        csrr a1, pmpaddr2
        same a0, a1
        pass

        .balign 4
call:   ecall
jump_s0: jr s0
load_s7: ld a0, 0(s7)
        ecall
