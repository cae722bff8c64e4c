// What a workload sees of the runtime: its own declaration, a checksum to return and the few library functions that GCC itself may call.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Share of the full iteration count, in percent.
#ifndef SCALE
#define SCALE 100
#endif

extern const char workload_name[];
extern const uint64_t workload_iterations;

// Runs the workload in S-mode with paging on and returns a checksum over everything it computed.
uint64_t workload_run(uint64_t iterations);

// WORKLOAD("name", iterations) { ...; return checksum; } — `iterations` is the count for about two seconds on QEMU 7.2 TCG.
#define WORKLOAD(label, count)                                                                           \
    const char workload_name[] = label;                                                                  \
    const uint64_t workload_iterations = (uint64_t)(count) * SCALE / 100 ? (uint64_t)(count) * SCALE / 100 : 1; \
    uint64_t workload_run(uint64_t iterations)

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);

// xorshift64*: the same sequence in every run.
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

// Folds a value into a checksum; the order of the values matters.
static inline uint64_t fold(uint64_t checksum, uint64_t value)
{
    checksum = (checksum ^ value) * 0x100000001b3ull;
    return checksum ^ (checksum >> 29);
}

static inline uint64_t fold_double(uint64_t checksum, double value)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return fold(checksum, bits);
}
