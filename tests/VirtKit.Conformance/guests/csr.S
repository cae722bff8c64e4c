# What the fields of CSRs take and keep (WARL, WPRI, read-only views; RV-Priv 2, 3.1, 4.1).
        .include "guest.inc"

main:   open_memory

        test 1                          # misa: 64 bits, I, M, A, F, D, C, S, U
        csrr a0, misa
        srli a1, a0, 62
        equal a1, 2
        li t0, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 12 | 1 << 18 | 1 << 20
        and a0, a0, t0
        same a0, t0

        test 2                          # mepc and sepc drop bit 0
        li t0, -1
        csrw mepc, t0
        .ifndef QEMU                    # 7.2 drops it only when the register is used
        csrr a0, mepc
        equal a0, -2
        csrw sepc, t0
        csrr a0, sepc
        equal a0, -2
        .endif

        test 3                          # the vector's mode is 0 or 1
        csrr s0, mtvec
        la t0, trap_m
        ori t0, t0, 2
        csrw mtvec, t0
        csrr a0, mtvec
        andi a0, a0, 3
        li t0, 1
        bgtu a0, t0, fail
        csrw mtvec, s0
        csrr s0, stvec
        la t0, trap_s
        ori t0, t0, 2
        csrw stvec, t0
        csrr a0, stvec
        andi a0, a0, 3
        li t0, 1
        bgtu a0, t0, fail
        csrw stvec, s0

        test 4                          # satp: a mode that there is not leaves the whole register as it was
        li t0, 0x5 << 60 | 0x1234
        csrw satp, zero
        csrw satp, t0
        csrr a0, satp
        equal a0, 0
        li t0, 0xb << 60 | 0x1234       # the next one after Sv57
        csrw satp, t0
        csrr a0, satp
        equal a0, 0
        li t0, 0x8 << 60 | 0x1234
        csrw satp, t0
        csrr a0, satp
        same a0, t0
        csrw satp, zero

        test 5                          # sstatus is mstatus seen through a mask
        li t0, MSTATUS_SUM
        csrs mstatus, t0
        csrr a0, sstatus
        and a0, a0, t0
        same a0, t0
        csrc sstatus, t0
        csrr a0, mstatus
        and a0, a0, t0
        equal a0, 0
        csrr s0, mstatus
        li t0, MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR
        csrs sstatus, t0
        csrr a0, mstatus
        same a0, s0
        csrr a0, sstatus
        and a0, a0, t0
        equal a0, 0

        test 6                          # UXL and SXL are 64 bits and stay so
        csrr a0, mstatus
        srli a0, a0, 32
        andi a0, a0, 15
        equal a0, 10
        .ifndef QEMU                    # 7.2 lets UXL be set to 32 bits
        csrr a0, sstatus
        li t0, 3 << 32
        csrc sstatus, t0
        csrr a1, sstatus
        same a0, a1
        .endif

        test 7                          # FS off: floating-point instructions and CSRs are illegal; a write makes it dirty, and SD says so
        li t0, MSTATUS_FS
        csrc mstatus, t0
        expect ILLEGAL, csrr a0, fcsr
        expect ILLEGAL, fmv.x.d a0, f0
        expect ILLEGAL, fld f0, (sp)
        expect ILLEGAL, c.fldsp f0, (sp)
        csrr a0, sstatus
        bltz a0, fail
        li t0, 1 << 13
        csrs mstatus, t0
        expect NONE, fmv.x.d a0, f0
        fmv.d.x f0, zero
        csrr a0, mstatus
        bgez a0, fail
        li t0, MSTATUS_FS
        and a0, a0, t0
        same a0, t0
        csrr a0, sstatus
        bgez a0, fail

        test 8                          # fflags and frm are parts of fcsr, and nothing else is in it
        li t0, -1
        csrw fcsr, t0
        csrr a0, fcsr
        equal a0, 0xff
        csrwi fflags, 0
        csrr a0, fcsr
        equal a0, 0xe0
        csrwi frm, 1
        csrr a0, fcsr
        equal a0, 0x20
        li t0, -1
        csrw fflags, t0
        csrr a0, fflags
        equal a0, 0x1f
        csrw fcsr, zero

        test 9                          # a dynamic rounding mode of 5, 6 or 7 is illegal when it is used
        csrwi frm, 5
        expect ILLEGAL, fadd.d f1, f1, f1
        expect NONE, fadd.d f1, f1, f1, rne
        expect NONE, fsgnj.d f1, f1, f1
        csrwi frm, 7
        expect ILLEGAL, fsqrt.s f1, f1
        csrwi frm, 4
        expect NONE, fsqrt.s f1, f1
        csrwi frm, 0
        expect ILLEGAL, .4byte 0x0210d0d3 # fadd.d f1, f1, f1 with a static rounding mode of 5

        test 10                         # mie keeps the six standard bits
        li t0, -1
        csrw mie, t0
        csrr a0, mie
        li t0, SSIP | MSIP | STIP | MTIP | SEIP | MEIP
        and a1, a0, t0
        same a1, t0
        csrw mie, zero

        test 11                         # scratch registers, trap values and causes keep what is written
        li t0, 0x0123456789abcdef
        csrw mscratch, t0
        csrw sscratch, t0
        csrw mtval, t0
        csrw stval, t0
        csrr a0, mscratch
        same a0, t0
        csrr a0, sscratch
        same a0, t0
        csrr a0, mtval
        same a0, t0
        csrr a0, stval
        same a0, t0
        li t0, 1 << 63 | 5
        csrw scause, t0
        csrr a0, scause
        same a0, t0
        csrw mcause, t0
        csrr a0, mcause
        same a0, t0

        test 12                         # CSRRW, CSRRS and CSRRC give the old value; source and destination may be one register
        csrwi mscratch, 5
        li a0, 9
        csrrw a0, mscratch, a0
        equal a0, 5
        li a0, 6
        csrrs a0, mscratch, a0
        equal a0, 9
        li a0, 1
        csrrc a0, mscratch, a0
        equal a0, 15
        csrrci a0, mscratch, 2
        equal a0, 14
        csrr a0, mscratch
        equal a0, 12

        test 13                         # the identity is there to read
        expect NONE, csrr a0, mvendorid
        expect NONE, csrr a0, marchid
        expect NONE, csrr a0, mimpid
        csrr a0, mhartid
        equal a0, 0
        .ifndef QEMU                    # 7.2 has mconfigptr only in privileged specification 1.12 builds
        expect NONE, csrr a0, 0xf15
        .endif

        test 14                         # RV32's upper halves do not exist
        expect ILLEGAL, csrr a0, 0xc80  # cycleh
        expect ILLEGAL, csrr a0, 0x310  # mstatush
        expect ILLEGAL, csrr a0, 0x3a1  # pmpcfg1
        expect ILLEGAL, csrr a0, 0x31a  # menvcfgh
        pass
