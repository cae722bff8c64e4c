# The ways in which RunElf's program ends, one for each definition on the compiler's command line.
.section .text.start, "ax"
.globl _start
_start:
    csrr t0, mhartid
    bnez t0, wait           # one hart ends the run
#ifdef FINISH
    li a0, 0x100000         # the test finisher
    li t0, FINISH
    sw t0, 0(a0)
#endif
#ifdef TOHOST
    la a0, tohost
    li t0, TOHOST
    sd t0, 0(a0)
#endif
#ifdef SPIN
spin:
    addi t0, t0, 1
    j spin
#endif
wait:
    j wait

#ifdef TOHOST
.data
.balign 8
.globl tohost
tohost:
    .dword 0
#endif
