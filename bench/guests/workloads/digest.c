// A 64-bit multiply-and-rotate hash in the manner of xxHash64 and a table-driven CRC-32 over 1 MiB: wide multiplies, and a load that depends on the last one.
#include "guest.h"

enum { SIZE = 1 << 20 };

static uint64_t buffer[SIZE / 8];
static uint32_t crc_table[256];

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t hash(uint64_t seed)
{
    static const uint64_t p1 = 0x9e3779b185ebca87ull, p2 = 0xc2b2ae3d27d4eb4full, p3 = 0x165667b19e3779f9ull;
    uint64_t a = seed + p1 + p2, b = seed + p2, c = seed, d = seed - p1;
    for (size_t i = 0; i < SIZE / 8; i += 4) {
        a = rotl(a + buffer[i] * p2, 31) * p1;
        b = rotl(b + buffer[i + 1] * p2, 31) * p1;
        c = rotl(c + buffer[i + 2] * p2, 31) * p1;
        d = rotl(d + buffer[i + 3] * p2, 31) * p1;
    }
    uint64_t h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
    h = (h ^ h >> 33) * p2;
    h = (h ^ h >> 29) * p3;
    return h ^ h >> 32;
}

static uint32_t crc32(const uint8_t *bytes, size_t length)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < length; i++)
        crc = crc_table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    return ~crc;
}

WORKLOAD("digest", 210)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[i] = c;
    }
    if (crc32((const uint8_t *)"123456789", 9) != 0xcbf43926)
        return 0;

    uint64_t random = 42, checksum = 0;
    for (size_t i = 0; i < SIZE / 8; i++)
        buffer[i] = next_random(&random);
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t h = 0;
        for (int seed = 0; seed < 4; seed++)
            h = hash(h + (uint64_t)seed);
        uint32_t crc = crc32((const uint8_t *)buffer, SIZE);
        buffer[i % (SIZE / 8)] = h ^ crc;
        checksum = fold(checksum, h + crc);
    }
    return checksum;
}
