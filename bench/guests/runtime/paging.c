// Sv39, identity-mapped in 4 KiB pages: the image with the rights of its sections, and one page for each of the two devices. Every access of a workload
// goes through a three-level walk on a TLB miss; huge pages would leave the TLB idle.
#include "paging.h"

#include "board.h"
#include "csr.h"

enum { PAGE_SIZE = 4096, ENTRIES = 512, MAX_TABLES = 96 };

typedef uint64_t page_table[ENTRIES];

static _Alignas(PAGE_SIZE) page_table tables[MAX_TABLES];
static int table_count = 1; // tables[0] is the root

static page_table *descend(uint64_t *entry)
{
    if (!(*entry & PTE_V)) {
        if (table_count == MAX_TABLES) {
            print("out of page tables\n");
            finish(2);
        }
        *entry = (uint64_t)tables[table_count++] >> 12 << 10 | PTE_V;
    }
    return (page_table *)(*entry >> 10 << 12);
}

// A and D are set from the start: not every hart updates them itself.
static void map(const void *first, const void *end, uint64_t rights)
{
    for (uint64_t address = (uint64_t)first; address < (uint64_t)end; address += PAGE_SIZE) {
        page_table *middle = descend(&tables[0][address >> 30 & (ENTRIES - 1)]);
        page_table *leaf = descend(&(*middle)[address >> 21 & (ENTRIES - 1)]);
        (*leaf)[address >> 12 & (ENTRIES - 1)] = address >> 12 << 10 | rights | PTE_A | PTE_D | PTE_V;
    }
}

extern const char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[], __image_end[];

uint64_t build_page_tables(void)
{
    map(__text_start, __text_end, PTE_R | PTE_X);
    map(__rodata_start, __rodata_end, PTE_R);
    map(__data_start, __image_end, PTE_R | PTE_W);
    map((void *)UART_BASE, (void *)(UART_BASE + PAGE_SIZE), PTE_R | PTE_W);
    map((void *)FINISHER_BASE, (void *)(FINISHER_BASE + PAGE_SIZE), PTE_R | PTE_W);
    return SATP_MODE_SV39 | (uint64_t)tables >> 12;
}
