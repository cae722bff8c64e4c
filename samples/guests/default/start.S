# The first instructions of the default guest: S-mode, a0 the hart ID, a1 the device tree's address.
.section .text.start, "ax"
.globl _start
_start:
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  mv s0, a0
    mv a0, a1
    mv a1, s0
    call guest_main
3:  wfi
    j 3b

.section .bss
.balign 16
    .space 16384
stack_top:
