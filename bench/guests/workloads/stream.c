// Copy, scale, add and triad over three arrays of 4 MiB: every page of 12 MiB in turn, loads and stores of whole words.
#include "guest.h"

enum { COUNT = (4 << 20) / 8 };

static double a[COUNT], b[COUNT], c[COUNT];

// An empty instruction that may have read and changed everything: the passes over memory stay apart.
static void barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

WORKLOAD("stream", 21)
{
    for (size_t i = 0; i < COUNT; i++)
        a[i] = (double)(i % 1000) * 0.5;
    for (uint64_t n = 0; n < iterations; n++) {
        memcpy(c, a, sizeof c);
        barrier();
        for (size_t i = 0; i < COUNT; i++)
            b[i] = 0.25 * c[i];
        barrier();
        for (size_t i = 0; i < COUNT; i++)
            c[i] = a[i] + b[i];
        barrier();
        for (size_t i = 0; i < COUNT; i++)
            a[i] = b[i] + 0.5 * c[i];
        barrier();
    }

    uint64_t checksum = 0;
    for (size_t i = 0; i < COUNT; i += 509)
        checksum = fold_double(checksum, a[i] + c[i]);
    return checksum;
}
