# Privilege transitions: MRET, SRET, ECALL, EBREAK, what each mode may not do (RV-Priv 3.1.6, 3.3.1, 3.3.2).
        .include "guest.inc"

main:   open_memory

        test 1                          # ECALL names the mode it came from
        expect ECALL_M, ecall
        run S, call
        equal s2, ECALL_S
        run U, call
        equal s2, ECALL_U
        la t0, call
        same s4, t0

        test 2                          # the trap stacks the mode in MPP, MRET unstacks it and leaves U there
        run U, call
        li t0, MSTATUS_MPP
        and t0, t0, s5
        equal t0, U << 11
        run S, call
        li t0, MSTATUS_MPP
        and t0, t0, s5
        equal t0, S << 11
        expect ECALL_M, ecall
        li t0, MSTATUS_MPP
        and t0, t0, s5
        equal t0, M << 11

        test 3                          # MIE moves to MPIE at a trap and is cleared
        csrsi mstatus, MSTATUS_MIE
        expect ECALL_M, ecall
        andi t0, s5, MSTATUS_MPIE | MSTATUS_MIE
        equal t0, MSTATUS_MPIE
        csrci mstatus, MSTATUS_MIE
        expect ECALL_M, ecall
        andi t0, s5, MSTATUS_MPIE | MSTATUS_MIE
        equal t0, 0

        test 4                          # MRET: MIE from MPIE, MPIE set, MPP to U
        li t0, MSTATUS_MPP | MSTATUS_MPIE
        csrs mstatus, t0
        la t0, 1f
        csrw mepc, t0
        mret
1:      csrr a0, mstatus
        csrci mstatus, MSTATUS_MIE
        li t0, MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE
        and a0, a0, t0
        equal a0, MSTATUS_MPIE | MSTATUS_MIE

        test 5                          # MRET to a lesser mode clears MPRV, MRET to M keeps it
        li t0, MSTATUS_MPP
        csrs mstatus, t0
        li t0, MSTATUS_MPRV
        csrs mstatus, t0
        la t0, 1f
        csrw mepc, t0
        mret
1:      csrr a0, mstatus
        li t0, MSTATUS_MPRV
        and a0, a0, t0
        csrc mstatus, t0
        beqz a0, fail
        csrs mstatus, t0
        run U, call
        li t0, MSTATUS_MPRV
        and a0, s5, t0
        csrc mstatus, t0
        .ifndef QEMU                    # 7.2 leaves MPRV as it is
        equal a0, 0
        .endif

        test 6                          # SRET in S-mode: SIE from SPIE, SPIE set, SPP to U
        run S, sret_to_s
        csrr a0, sstatus
        andi a0, a0, MSTATUS_SPIE | MSTATUS_SIE | MSTATUS_SPP
        equal a0, MSTATUS_SPIE | MSTATUS_SIE
        csrci sstatus, MSTATUS_SIE
        run S, sret_to_u
        equal s2, ECALL_U

        test 7                          # SRET in M-mode is allowed and clears MPRV
        li t0, MSTATUS_MPRV
        csrs mstatus, t0
        li t0, MSTATUS_SPP
        csrs mstatus, t0
        la t0, call
        csrw sepc, t0
        expect ECALL_S, sret
        li t0, MSTATUS_MPRV
        and a0, s5, t0
        csrc mstatus, t0
        .ifndef QEMU
        equal a0, 0
        .endif

        test 8                          # a mode executes no return of a higher one
        run S, do_mret
        equal s2, ILLEGAL
        run U, do_mret
        equal s2, ILLEGAL
        run U, do_sret
        equal s2, ILLEGAL

        test 9                          # TSR, TVM and TW take SRET, SATP and SFENCE.VMA, and WFI from S-mode
        li t0, MSTATUS_TSR
        csrs mstatus, t0
        run S, do_sret
        equal s2, ILLEGAL
        li t0, MSTATUS_TSR
        csrc mstatus, t0
        li t0, MSTATUS_TVM
        csrs mstatus, t0
        run S, read_satp
        equal s2, ILLEGAL
        run S, fence_vma
        equal s2, ILLEGAL
        expect NONE, csrr a0, satp
        expect NONE, sfence.vma
        li t0, MSTATUS_TVM
        csrc mstatus, t0
        run S, read_satp
        equal s2, NONE
        run U, fence_vma
        equal s2, ILLEGAL
        li t0, MSTATUS_TW
        csrs mstatus, t0
        run S, do_wfi
        equal s2, ILLEGAL
        run U, do_wfi
        equal s2, ILLEGAL
        li t0, MSTATUS_TW
        csrc mstatus, t0

        test 10                         # CSRs of a higher mode, and writes of read-only CSRs, are illegal; a CSRRS with x0 does not write
        run S, read_mstatus
        equal s2, ILLEGAL
        run U, read_sstatus
        equal s2, ILLEGAL
        run U, read_mstatus
        equal s2, ILLEGAL
        expect ILLEGAL, csrw mhartid, zero
        expect ILLEGAL, csrrs a0, mhartid, a1
        expect NONE, csrrs a0, mhartid, zero
        expect NONE, csrrci a0, mhartid, 0
        expect ILLEGAL, csrrwi a0, mhartid, 0
        expect ILLEGAL, csrr a0, 0x5c0  # nothing stands there

        test 11                         # EBREAK: cause 3 and its own address
        run U, do_ebreak
        equal s2, BREAKPOINT
        la t0, do_ebreak
        same s4, t0

        test 12                         # an illegal instruction is its own tval
        run U, unknown
        equal s2, ILLEGAL
        equal s3, 0xffffffff
        run S, unknown_compressed
        equal s2, ILLEGAL
        equal s3, 0
        run U, do_mret
        equal s3, 0x30200073

        .ifndef QEMU                    # 7.2 takes the reserved value
        test 13                         # MPP takes no reserved value
        li t0, MSTATUS_MPP
        csrc mstatus, t0
        li t0, 2 << 11
        csrs mstatus, t0
        csrr a0, mstatus
        li t0, MSTATUS_MPP
        and a0, a0, t0
        li t0, 2 << 11
        beq a0, t0, fail
        .endif

        test 14                         # a jump to where nothing answers is an access fault there
        li a5, 0x00000010
        run U, jump_a5
        equal s2, FETCH_ACCESS
        equal s4, 0x10
        equal s3, 0x10
        pass

        .balign 4
call:   ecall
sret_to_s:
        la t0, 1f
        csrw sepc, t0
        li t0, MSTATUS_SPP | MSTATUS_SPIE
        csrs sstatus, t0
        sret
1:      csrr t0, sstatus                # still in S-mode
        leave
sret_to_u:
        la t0, call
        csrw sepc, t0
        li t0, MSTATUS_SPP
        csrc sstatus, t0
        sret
        .balign 4
do_mret: mret
        .balign 4
do_sret: sret
read_satp: csrr a0, satp
        leave
fence_vma: sfence.vma
        leave
do_wfi: wfi
        leave
read_mstatus: csrr a0, mstatus
        leave
read_sstatus: csrr a0, sstatus
        leave
        .balign 4
        .option push
        .option norvc
do_ebreak: ebreak
        .option pop
        .balign 4
unknown: .4byte 0xffffffff
unknown_compressed: .2byte 0
        .balign 4
jump_a5: jr a5
