// The CSRs and fields that the runtime touches (RV-Priv chapters 2 to 4).
#pragma once

#include <stdint.h>

#define CSR_READ(name) ({ uint64_t value_; __asm__ volatile("csrr %0, " #name : "=r"(value_)); value_; })
#define CSR_WRITE(name, value) __asm__ volatile("csrw " #name ", %0" : : "r"((uint64_t)(value)) : "memory")

#define MSTATUS_MPP_SUPERVISOR (1ul << 11)
#define MSTATUS_FS_INITIAL (1ul << 13)
#define COUNTEREN_ALL 7ul // cycle, time, instret
#define PMP_NAPOT_RWX 0x1ful
#define SATP_MODE_SV39 (8ul << 60)

#define PTE_V (1ul << 0)
#define PTE_R (1ul << 1)
#define PTE_W (1ul << 2)
#define PTE_X (1ul << 3)
#define PTE_A (1ul << 6)
#define PTE_D (1ul << 7)
