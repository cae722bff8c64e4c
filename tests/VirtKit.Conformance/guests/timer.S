# The timer: CLINT's mtimecmp, WFI, and the supervisor's own compare register (Sstc).
        .include "guest.inc"

main:   open_memory
        li t0, CLINT_MTIMECMP
        li t1, -1
        sd t1, 0(t0)

        test 1                          # MTIP follows mtime >= mtimecmp
        li t0, MTIP
        csrr a0, mip
        and a0, a0, t0
        equal a0, 0
        li t1, CLINT_MTIMECMP
        sd zero, 0(t1)
        call settle
        csrr a0, mip
        li t0, MTIP
        and a0, a0, t0
        equal a0, MTIP
        li t1, CLINT_MTIMECMP
        li t2, -1
        sd t2, 0(t1)
        call settle
        csrr a0, mip
        li t0, MTIP
        and a0, a0, t0
        equal a0, 0

        test 2                          # WFI wakes by an enabled interrupt although MIE is clear, and goes on behind itself
        li t0, MTIP
        csrw mie, t0
        call soon
        expect NONE, wfi
        csrr a0, mip
        li t0, MTIP
        and a0, a0, t0
        equal a0, MTIP
        csrr a0, time
        bltu a0, s0, fail

        test 3                          # with MIE set the trap is taken behind the WFI
        call soon
        la s11, 1f
        li s2, NONE
        csrsi mstatus, MSTATUS_MIE
        la a0, 1f
wait:   wfi
        j wait
1:      csrci mstatus, MSTATUS_MIE
        li t0, 1 << 63 | 7
        same s2, t0
        csrr a0, time
        bltu a0, s0, fail
        la t0, wait
        bltu s4, t0, fail
        csrw mie, zero
        li t1, CLINT_MTIMECMP
        li t2, -1
        sd t2, 0(t1)

        test 4                          # WFI in S-mode wakes by a delegated interrupt with SIE clear
        li t0, SSIP | STIP | SEIP
        csrw mideleg, t0
        csrw mie, t0
        li t0, STIP
        csrs mip, t0
        run S, do_wfi
        equal s2, NONE
        li t0, STIP
        csrc mip, t0
        csrw mie, zero

        test 5                          # Sstc is off: the supervisor has no stimecmp, machine mode has
        li t0, ENV_STCE
        csrc MENVCFG, t0
        csrwi mcounteren, 2
        run S, write_stimecmp
        equal s2, ILLEGAL
        expect NONE, csrr a0, STIMECMP

        test 6                          # and it also needs mcounteren.TM
        li t0, ENV_STCE
        csrs MENVCFG, t0
        csrr a0, MENVCFG
        bgez a0, fail
        csrwi mcounteren, 0
        run S, write_stimecmp
        equal s2, ILLEGAL
        csrwi mcounteren, 2
        run S, write_stimecmp
        equal s2, NONE
        run U, write_stimecmp
        equal s2, ILLEGAL

        test 7                          # STIP follows time >= stimecmp, and software cannot write it any more
        li t0, -1
        csrw STIMECMP, t0
        call settle
        li t0, STIP
        csrs mip, t0
        csrr a0, mip
        li t0, STIP
        and a0, a0, t0
        equal a0, 0
        csrw STIMECMP, zero
        call settle
        csrr a0, mip
        li t0, STIP
        and a0, a0, t0
        equal a0, STIP
        csrc mip, t0
        csrr a0, sip
        and a0, a0, t0
        equal a0, STIP

        test 8                          # the supervisor waits for it and takes it
        li t0, STIP
        csrw mideleg, t0
        csrw mie, t0
        run S, sleep
        li t0, 1 << 63 | 5
        same s2, t0
        equal s6, S
        csrr a0, time
        bltu a0, s0, fail
        csrw mie, zero
        pass

# Sets mtimecmp 2000 ticks ahead and leaves that time in s0.
soon:   csrr s0, time
        li t0, 2000
        add s0, s0, t0
        li t0, CLINT_MTIMECMP
        sd s0, 0(t0)
        ret

# A machine may take a moment to show a new compare value in mip: some ticks of time.
settle: csrr t0, time
        addi t0, t0, 100
1:      csrr t1, time
        bltu t1, t0, 1b
        ret

do_wfi: wfi
        leave
write_stimecmp:
        li t0, -1
        csrw STIMECMP, t0
        leave
sleep:  csrr s0, time
        li t0, 2000
        add s0, s0, t0
        csrw STIMECMP, s0
        csrsi sstatus, MSTATUS_SIE
1:      wfi
        j 1b
