// The functions that GCC calls even in freestanding code. Eight bytes at a time where both sides are aligned.
#include "guest.h"

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 7) == 0) {
        for (; length >= 8; length -= 8, t += 8, f += 8)
            *(uint64_t *)t = *(const uint64_t *)f;
    }
    while (length--)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f || t >= f + length)
        return memcpy(to, from, length);
    while (length--)
        t[length] = f[length];
    return to;
}

void *memset(void *to, int value, size_t length)
{
    unsigned char *t = to;
    if (((uintptr_t)t & 7) == 0) {
        uint64_t word = (unsigned char)value * 0x0101010101010101ull;
        for (; length >= 8; length -= 8, t += 8)
            *(uint64_t *)t = word;
    }
    while (length--)
        *t++ = (unsigned char)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
    const unsigned char *l = left, *r = right;
    for (; length--; l++, r++) {
        if (*l != *r)
            return *l - *r;
    }
    return 0;
}
