# Delegation of exceptions and interrupts, their priorities and vectors (RV-Priv 3.1.8, 3.1.9, 4.1.3).
        .include "guest.inc"

.equ ALL_S, SSIP | STIP | SEIP

main:   open_memory

        test 1                          # without delegation M-mode takes it
        run U, call
        equal s2, ECALL_U
        equal s6, M

        test 2                          # delegated: from U and S to S-mode, from M-mode never
        li t0, 1 << ECALL_U | 1 << ILLEGAL | 1 << BREAKPOINT
        csrw medeleg, t0
        run U, call
        equal s2, ECALL_U
        equal s6, S
        andi t0, s5, MSTATUS_SPP
        equal t0, 0
        run S, unknown
        equal s2, ILLEGAL
        equal s6, S
        equal s3, 0xffffffff
        andi t0, s5, MSTATUS_SPP
        equal t0, MSTATUS_SPP
        la t0, unknown
        same s4, t0
        expect ILLEGAL, .4byte 0xffffffff
        equal s6, M

        test 3                          # an ECALL from S-mode is not delegated here; from M-mode it cannot be
        run S, call
        equal s2, ECALL_S
        equal s6, M
        li t0, -1
        csrw medeleg, t0
        csrr a0, medeleg
        li t0, 1 << ECALL_M
        and a0, a0, t0
        .ifndef QEMU                    # 7.2 takes the bit
        equal a0, 0
        .endif
        csrw medeleg, zero

        test 4                          # the trap into S-mode clears SIE and stacks it in SPIE
        li t0, 1 << ECALL_U
        csrw medeleg, t0
        csrsi mstatus, MSTATUS_SIE
        run U, call
        andi t0, s5, MSTATUS_SIE | MSTATUS_SPIE
        equal t0, MSTATUS_SPIE
        csrci mstatus, MSTATUS_SIE
        csrw medeleg, zero

        test 5                          # mideleg has the supervisor's bits only
        li t0, -1
        csrw mideleg, t0
        csrr a0, mideleg
        .ifdef QEMU                     # 7.2 also takes the hypervisor extension's bits
        andi a0, a0, ALL_S
        .endif
        equal a0, ALL_S
        csrw mideleg, zero

        test 6                          # sie and sip show only what is delegated
        li t0, ALL_S
        csrw mie, t0
        csrr a0, sie
        equal a0, 0
        li t0, SSIP
        csrw mideleg, t0
        csrr a0, sie
        equal a0, SSIP
        csrw sie, zero
        csrr a0, mie
        equal a0, STIP | SEIP
        csrw mie, zero

        test 7                          # SSIP is the supervisor's to write, STIP and SEIP are not
        li t0, ALL_S
        csrw mideleg, t0
        csrw mip, zero
        csrs sip, t0
        csrr a0, mip
        li t0, ALL_S
        and a0, a0, t0
        equal a0, SSIP
        li t0, STIP | SEIP
        csrs mip, t0
        csrr a0, sip
        equal a0, ALL_S
        csrw mip, zero
        csrr a0, sip
        equal a0, 0

        test 8                          # a delegated interrupt waits in M-mode whatever MIE says, and is taken in U-mode whatever SIE says
        li t0, SSIP
        csrw mie, t0
        csrs mip, t0
        csrsi mstatus, MSTATUS_MIE | MSTATUS_SIE
        expect NONE, nop
        csrci mstatus, MSTATUS_MIE | MSTATUS_SIE
        run U, call
        li t0, 1 << 63 | 1
        same s2, t0
        equal s6, S
        la t0, call                     # before the first instruction
        same s4, t0
        equal s3, 0

        test 9                          # in S-mode it needs SIE
        run S, call
        equal s2, ECALL_S
        run S, enable
        li t0, 1 << 63 | 1
        same s2, t0
        equal s6, S

        test 10                         # not delegated it goes to M-mode, from S-mode whatever MIE and SIE say
        csrw mideleg, zero
        run S, call
        li t0, 1 << 63 | 1
        same s2, t0
        equal s6, M

        test 11                         # in M-mode it needs MIE
        la s11, 1f
        li s2, NONE
        nop
        equal s2, NONE
        csrsi mstatus, MSTATUS_MIE
        nop
        j fail
1:      li t0, 1 << 63 | 1
        same s2, t0
        csrci mstatus, MSTATUS_MIE
        csrw mip, zero

        .ifndef QEMU                    # 7.2 takes the one of the lowest number
        test 12                         # priorities among the pending: SEI, SSI, STI
        li t0, ALL_S
        csrw mie, t0
        csrw mip, t0
        run S, call
        li t0, 1 << 63 | 9
        same s2, t0
        li t0, SEIP
        csrc mip, t0
        run S, call
        li t0, 1 << 63 | 1
        same s2, t0
        li t0, SSIP
        csrc mip, t0
        run S, call
        li t0, 1 << 63 | 5
        same s2, t0

        .endif

        test 13                         # a machine software interrupt comes before a supervisor's
        li t0, CLINT_MSIP
        li t1, 1
        sw t1, 0(t0)
        li t0, ALL_S | MSIP
        csrw mie, t0
        li t0, ALL_S
        csrw mip, t0
        csrr a0, mip
        andi a0, a0, MSIP
        equal a0, MSIP
        run S, call
        .ifndef QEMU
        li t0, 1 << 63 | 3
        same s2, t0
        .endif

        test 14                         # a non-delegated interrupt comes before a delegated one of higher rank
        li t0, SEIP
        csrw mideleg, t0
        li t0, SEIP | MSIP
        csrw mie, t0
        run S, enable
        li t0, 1 << 63 | 3
        same s2, t0
        equal s6, M
        li t0, CLINT_MSIP
        sw zero, 0(t0)
        csrw mideleg, zero
        csrw mip, zero
        csrw mie, zero

        test 15                         # MSIP and MTIP of mip are read-only
        li t0, MSIP | MTIP | MEIP
        csrs mip, t0
        csrr a0, mip
        li t0, MSIP | MEIP
        and a0, a0, t0
        equal a0, 0

        test 16                         # vectored: interrupts at base + 4 * cause, exceptions at the base
        la t0, vectors
        ori t0, t0, 1
        csrw mtvec, t0
        li t0, SSIP
        csrw mie, t0
        csrw mip, t0
        li a3, 0
        la s11, 1f
        run S, call
1:      equal a3, 1
        csrw mip, zero
        li a3, 0
        run S, call
        equal a3, 100
        equal s2, ECALL_S
        la t0, trap_m
        csrw mtvec, t0
        pass

        .balign 4
call:   ecall
unknown: .4byte 0xffffffff
enable: csrsi sstatus, MSTATUS_SIE
        nop
        leave

        .balign 256
        .option push
        .option norvc
vectors: j v0
        j v1
        .rept 14
        j fail
        .endr
        .option pop
v0:     li a3, 100
        j trap_m
v1:     li a3, 1
        j trap_m
