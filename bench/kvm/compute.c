// Ring-3 compute: one static program, run by Linux and by VirtKit without a kernel. Hashing, a sieve and a matrix product; ends with exit_group(checksum & 0xff).
#include <stdint.h>

static uint8_t sieve[1 << 20];
static double a[96][96], b[96][96], c[96][96];

static uint64_t hash(uint64_t rounds)
{
    uint64_t h = 0xcbf29ce484222325;
    for (uint64_t i = 0; i < rounds; i++)
        h = (h ^ (h >> 29) ^ i) * 0x100000001b3;
    return h;
}

static uint64_t primes(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < sizeof sieve; i++)
        sieve[i] = 1;
    for (unsigned i = 2; i < sizeof sieve; i++) {
        count += sieve[i];
        if (sieve[i] && i < 1024)
            for (unsigned j = i * i; j < sizeof sieve; j += i)
                sieve[j] = 0;
    }
    return count;
}

static uint64_t product(void)
{
    for (int i = 0; i < 96; i++)
        for (int j = 0; j < 96; j++)
            a[i][j] = i + j, b[i][j] = i - j, c[i][j] = 0;
    for (int i = 0; i < 96; i++)
        for (int k = 0; k < 96; k++)
            for (int j = 0; j < 96; j++)
                c[i][j] += a[i][k] * b[k][j];
    return (uint64_t)(int64_t)c[40][50];
}

void _start(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 60; i++)
        sum += hash(4000000) + primes() + product();
    __asm__ volatile("syscall" : : "a"(231L), "D"((long)(sum & 0xff)) : "rcx", "r11", "memory");
    __builtin_unreachable();
}
