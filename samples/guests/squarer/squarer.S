# The guest of samples/CustomDevice: has the device square 6, sleeps until its interrupt, and powers off with the result as exit code.
.section .text.start, "ax"
.globl _start
_start:
    la t0, handler
    csrw mtvec, t0
    li t0, 1 << 11          # mie.MEIE
    csrw mie, t0
    csrsi mstatus, 1 << 3   # mstatus.MIE
    li a0, 0x10000000       # the device
    li t0, 6
    sw t0, 0(a0)
sleep:
    wfi
    j sleep

.balign 4
handler:
    lw t0, 0(a0)
    sw zero, 4(a0)          # acknowledge
    slli t0, t0, 16
    li t1, 0x3333
    or t0, t0, t1
    li a1, 0x100000         # the test finisher: exit code in the upper half
    sw t0, 0(a1)
    mret
