# Counters and who may read them (RV-Priv 3.1.10 to 3.1.12, 4.1.5; Zicntr).
        .include "guest.inc"

main:   open_memory

        test 1                          # mcounteren and scounteren open cycle, time and instret one by one
        csrw mcounteren, zero
        csrw scounteren, zero
        run S, read_cycle
        equal s2, ILLEGAL
        run U, read_cycle
        equal s2, ILLEGAL
        csrwi mcounteren, 1
        run S, read_cycle
        equal s2, NONE
        run U, read_cycle
        equal s2, ILLEGAL
        csrwi scounteren, 1
        run U, read_cycle
        equal s2, NONE
        run U, read_instret
        equal s2, ILLEGAL
        run S, read_time
        equal s2, ILLEGAL
        csrwi mcounteren, 2
        run S, read_time
        equal s2, NONE
        run U, read_time
        equal s2, ILLEGAL
        csrwi scounteren, 2
        run U, read_time
        equal s2, NONE
        csrwi mcounteren, 4
        csrwi scounteren, 4
        run U, read_instret
        equal s2, NONE
        .ifndef QEMU                    # 7.2 asks only scounteren about U-mode
        csrwi mcounteren, 0
        run U, read_instret
        equal s2, ILLEGAL
        .endif

        test 2                          # M-mode reads them whatever those say; nobody writes the user's views
        expect NONE, csrr a0, cycle
        expect NONE, csrr a0, instret
        expect NONE, csrr a0, time
        expect ILLEGAL, csrw cycle, zero
        expect ILLEGAL, csrw time, zero
        expect ILLEGAL, csrw instret, zero

        test 3                          # they only go forward
        csrr a0, mcycle
        csrr a1, mcycle
        bgeu a0, a1, fail
        csrr a0, time
        csrr a1, time
        bltu a1, a0, fail

        test 4                          # time is the board's mtime
        li t0, CLINT_MTIME
        ld a0, 0(t0)
        csrr a1, time
        ld a2, 0(t0)
        bltu a1, a0, fail
        bltu a2, a1, fail

        .ifndef QEMU                    # 7.2 counts instructions only with -icount, and from a clock otherwise
        test 5                          # instret counts instructions, one a CSRR
        csrr a0, minstret
        csrr a1, minstret
        sub a0, a1, a0
        equal a0, 1
        csrr a0, minstret
        nop
        nop
        .option push
        .option rvc
        c.nop
        .option pop
        csrr a1, minstret
        sub a0, a1, a0
        equal a0, 4

        test 6                          # an instruction that traps does not retire
        la s11, 1f
        csrr a0, minstret
        .4byte 0xffffffff
1:      csrr a1, minstret
        csrr a2, minstret
        sub a2, a2, a1
        equal a2, 1
        sub a0, a1, a0                  # the first CSRR and the handler's instructions
        la s11, 2f
        csrr a4, minstret
        ecall
2:      csrr a5, minstret
        sub a4, a5, a4
        same a0, a4

        test 7                          # a write takes effect after the instruction that writes
        li t0, 1000
        csrw minstret, t0
        csrr a0, minstret
        equal a0, 1000
        csrw mcycle, t0
        csrr a0, mcycle
        bltu a0, t0, fail
        li t0, -1
        csrw minstret, t0
        nop
        csrr a0, minstret
        equal a0, 0

        test 8                          # mcountinhibit stops them
        csrwi mcountinhibit, 5
        csrr a0, mcountinhibit
        equal a0, 5
        csrr a0, minstret
        csrr a2, mcycle
        nop
        csrr a1, minstret
        csrr a3, mcycle
        same a0, a1
        same a2, a3
        csrwi mcountinhibit, 0
        csrr a1, minstret
        csrr a2, minstret
        bgeu a1, a2, fail
        .endif

        .ifndef QEMU                    # 7.2 takes the bit
        test 9                          # mcountinhibit cannot stop time
        li t0, 2
        csrw mcountinhibit, t0
        csrr a0, mcountinhibit
        equal a0, 0
        .endif
        pass


read_cycle: csrr a0, cycle
        leave
read_time: csrr a0, time
        leave
read_instret: csrr a0, instret
        leave
