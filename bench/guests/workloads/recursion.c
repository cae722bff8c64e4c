// Fibonacci, Ackermann and the n queens: calls, returns and little else.
#include "guest.h"

static __attribute__((noinline, optimize("no-optimize-sibling-calls"))) uint64_t fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static __attribute__((noinline)) uint64_t ackermann(uint64_t m, uint64_t n)
{
    if (m == 0)
        return n + 1;
    return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static __attribute__((noinline)) uint64_t queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all)
        return 1;
    uint64_t solutions = 0;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t place = free & -free;
        solutions += queens(all, columns | place, (left | place) << 1, (right | place) >> 1);
    }
    return solutions;
}

WORKLOAD("recursion", 190)
{
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        checksum = fold(checksum, fibonacci(25 + i % 4));
        checksum = fold(checksum, ackermann(3, 5 + i % 3));
        checksum = fold(checksum, queens((1u << 9) - 1, 0, 0, 0));
    }
    return checksum;
}
