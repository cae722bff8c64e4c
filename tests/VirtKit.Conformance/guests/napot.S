# Svnapot: 64 KiB from sixteen equal entries (RV-Priv, "Svnapot").
#define LAST table2
.equ LEVELS, 3
        .include "guest.inc"
        .include "paging.inc"

.equ N, 1 << 63
.equ SIZE_64K, 8 << 10                  # the low four bits of the page number say the size

# All sixteen entries of the region at VIRTUAL, onto the 64 KiB at ram_2m.
.macro napot bits
        la t0, ram_2m
        srli t0, t0, 2
        li t1, \bits
        or t0, t0, t1
        la t1, table2
        li t2, 16
1:      sd t0, 0(t1)
        addi t1, t1, 8
        addi t2, t2, -1
        bnez t2, 1b
        sfence.vma
.endm

main:   open_memory
        paging_on
        la s0, ram_2m
        page_of s1, 0

        test 1                          # each of the sixteen pages is where a 64 KiB page would have it
        li s7, 0
        li s8, 4096
1:      add t0, s0, s7
        sd s7, 8(t0)
        add s7, s7, s8
        li t0, 1 << 16
        bltu s7, t0, 1b
        napot V | R | W | A | D | SIZE_64K | N
        li s7, 0
2:      add s9, s1, s7
        access S, NONE, ld a0, 8(s9)
        same a0, s7
        add s7, s7, s8
        li t0, 1 << 16
        bltu s7, t0, 2b

        test 2                          # stores too, also across the 4 KiB inside it
        li t0, 4092
        add s9, s1, t0
        li a1, 0x0102030405060708
        access S, NONE, sd a1, 0(s9)
        sub s9, s9, s1
        add s9, s9, s0
        lwu a0, 0(s9)
        equal a0, 0x05060708
        lwu a0, 4(s9)
        equal a0, 0x01020304

        test 3                          # other sizes are reserved
        napot V | R | W | A | D | N
        access S, LOAD_PAGE, ld a0, 8(s1)
        napot V | R | W | A | D | (4 << 10) | N
        access S, LOAD_PAGE, ld a0, 8(s1)
        napot V | R | W | A | D | (9 << 10) | N
        access S, LOAD_PAGE, ld a0, 8(s1)

        .ifndef QEMU                    # 7.2 does not look at N there
        test 4                          # N above the last level is reserved
        pte 1, (INDEX + 1), ram_2m, V | R | W | A | D | N | SIZE_64K
        sfence.vma
        li s9, VIRTUAL + (1 << 21)
        access S, LOAD_PAGE, ld a0, 0(s9)
        .endif

        test 5                          # permissions hold as for any page
        napot V | R | A | D | SIZE_64K | N
        access S, STORE_PAGE, sd a0, 8(s1)
        access U, LOAD_PAGE, ld a0, 8(s1)
        pass
