// From M-mode to the workload: open PMP, delegate, turn paging on, drop to S-mode, run, report, end.
#include "board.h"
#include "csr.h"
#include "guest.h"
#include "paging.h"

void supervisor_trap(void);

_Noreturn void unexpected_trap(uint64_t cause, uint64_t pc, uint64_t value)
{
    print("unexpected trap: cause=");
    print_hex(cause);
    print(" pc=");
    print_hex(pc);
    print(" value=");
    print_hex(value);
    print("\n");
    finish(1);
}

static _Noreturn void supervisor_start(void)
{
    uint64_t before = CSR_READ(instret);
    uint64_t checksum = workload_run(workload_iterations);
    uint64_t retired = CSR_READ(instret) - before;

    print(workload_name);
    print(" iterations=");
    print_decimal(workload_iterations);
    print(" checksum=");
    print_hex(checksum);
    // On a line of its own: QEMU counts instructions only with -icount, so this line is not part of what has to be equal.
    print("\ninstret=");
    print_decimal(retired);
    print("\n");
    finish(0);
}

_Noreturn void machine_start(void)
{
    CSR_WRITE(pmpaddr0, ~0ul >> 10);
    CSR_WRITE(pmpcfg0, PMP_NAPOT_RWX);
    CSR_WRITE(medeleg, 0xb3ff);
    CSR_WRITE(mideleg, 0x222);
    CSR_WRITE(mcounteren, COUNTEREN_ALL);
    CSR_WRITE(scounteren, COUNTEREN_ALL);
    CSR_WRITE(mie, 0);
    CSR_WRITE(stvec, supervisor_trap);
    CSR_WRITE(satp, build_page_tables());
    __asm__ volatile("sfence.vma" : : : "memory");
    CSR_WRITE(mstatus, MSTATUS_MPP_SUPERVISOR | MSTATUS_FS_INITIAL);
    CSR_WRITE(mepc, supervisor_start);
    __asm__ volatile("mret");
    __builtin_unreachable();
}
