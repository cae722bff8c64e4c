# M-mode entry at 0x80000000: one hart gets a stack and goes on in C, the others sleep. The loader has zeroed .bss, as the ELF says.
    .section .text.start, "ax"
    .globl _start
_start:
    csrr    t0, mhartid
    bnez    t0, park
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, __stack_end
    la      t0, machine_trap
    csrw    mtvec, t0
    j       machine_start

park:
    wfi
    j       park

# A workload causes no traps, so each one is the end; the C side prints what it was.
    .balign 4
    .globl machine_trap
machine_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    la      sp, __stack_end
    j       unexpected_trap

    .balign 4
    .globl supervisor_trap
supervisor_trap:
    csrr    a0, scause
    csrr    a1, sepc
    csrr    a2, stval
    la      sp, __stack_end
    j       unexpected_trap
