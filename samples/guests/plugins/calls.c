/* Functions of every shape, for the tests of the calling convention. */
#include "virtkit.h"

typedef struct {
    double x, y, z;
} point;

VIRTKIT_IMPORT(void, log, (const char *text, size_t length));
VIRTKIT_IMPORT(int, add_at_host, (int a, int b));
VIRTKIT_IMPORT(double, scale_at_host, (double value, float by));
VIRTKIT_IMPORT(long, call_back, (long depth));
VIRTKIT_IMPORT(size_t, fill, (uint8_t *bytes, size_t length));
VIRTKIT_IMPORT(point, middle_at_host, (const point *a, const point *b));
VIRTKIT_IMPORT(long, length_at_host, (const char *text));
VIRTKIT_IMPORT(void, is_not_there, (void));
VIRTKIT_IMPORT(long, wait_at_host, (long value));

VIRTKIT_EXPORT(void, nothing, (void)) {}

VIRTKIT_EXPORT(int, add, (int a, int b)) { return a + b; }

VIRTKIT_EXPORT(double, mix, (int a, double b, float c, long d)) { return a + b + c + d; }

static long total(const uint8_t *bytes, size_t length)
{
    long sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += bytes[i];
    return sum;
}

VIRTKIT_EXPORT(long, many, (const uint8_t *a, size_t aLength, const uint8_t *b, size_t bLength, const uint8_t *c, size_t cLength, const uint8_t *d, size_t dLength, long e, int f))
{
    return total(a, aLength) + 10 * total(b, bLength) + 100 * total(c, cLength) + 1000 * total(d, dLength) + 10000 * e + 100000 * f;
}

VIRTKIT_EXPORT(long, sum, (const int *values, size_t count))
{
    long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

VIRTKIT_EXPORT(void, reverse, (uint8_t *bytes, size_t length))
{
    for (size_t i = 0; i < length / 2; i++) {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[length - 1 - i];
        bytes[length - 1 - i] = byte;
    }
}

VIRTKIT_EXPORT(long, length_of, (const char *text))
{
    long length = 0;
    if (!text)
        return -1;
    while (text[length])
        length++;
    return length;
}

VIRTKIT_EXPORT(const char *, greeting, (void)) { return "gr\303\274ezi"; }

VIRTKIT_EXPORT(virtkit_bytes, bytes_from, (long first, long count))
{
    static uint8_t bytes[256];
    for (long i = 0; i < count && i < 256; i++)
        bytes[i] = (uint8_t)(first + i);
    return (virtkit_bytes){ bytes, (size_t)count };
}

VIRTKIT_EXPORT(point, moved, (const point *from, double by)) { return (point){ from->x + by, from->y + by, from->z + by }; }

VIRTKIT_EXPORT(void, move, (point *p, double by))
{
    p->x += by;
    p->y += by;
    p->z += by;
}

VIRTKIT_EXPORT(int, use_host, (int a, int b))
{
    log("adding", 6);
    return add_at_host(a, b) + (int)scale_at_host(2.5, 2.0f);
}

VIRTKIT_EXPORT(double, middle, (double a, double b))
{
    point p = { a, a, a }, q = { b, b, b };
    point m = middle_at_host(&p, &q);
    return m.x + m.y + m.z;
}

VIRTKIT_EXPORT(size_t, filled, (size_t length))
{
    uint8_t bytes[64];
    size_t count = fill(bytes, length < 64 ? length : 64), sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += bytes[i];
    return sum;
}

VIRTKIT_EXPORT(long, nest, (long depth)) { return depth == 0 ? 1 : depth + call_back(depth - 1); }

VIRTKIT_EXPORT(long, counted, (void))
{
    static long calls;
    return ++calls;
}

VIRTKIT_EXPORT(long, waits, (long value)) { return 1 + wait_at_host(value); }

VIRTKIT_EXPORT(long, text_to_host, (const char *text)) { return length_at_host(text); }

VIRTKIT_EXPORT(void, calls_what_is_not_there, (void)) { is_not_there(); }

VIRTKIT_EXPORT(void, spin, (void))
{
    for (;;)
        __asm__ volatile("");
}

VIRTKIT_EXPORT(long, load, (const long *address)) { return *(volatile const long *)address; }

VIRTKIT_EXPORT(void, store, (long *address, long value)) { *(volatile long *)address = value; }

VIRTKIT_EXPORT(void, jump, (void (*to)(void))) { to(); }

VIRTKIT_EXPORT(long, log_from, (const char *text, size_t length))
{
    log(text, length);
    return 0;
}

VIRTKIT_EXPORT(long, recurse, (long depth))
{
    char frame[1024];
    __asm__ volatile("sb zero, %0" : "=m"(frame[0]));
    long deeper = depth == 0 ? 0 : 1 + recurse(depth - 1);
    __asm__ volatile("" ::"m"(frame));
    return deeper;
}

VIRTKIT_EXPORT(long, map, (size_t bytes))
{
    volatile uint8_t *pages = virtkit_map(bytes);
    if (!pages)
        return -1;
    long sum = 0;
    for (size_t i = 0; i < bytes; i += 4096) {
        sum += pages[i];
        pages[i] = 1;
    }
    return sum;
}

VIRTKIT_EXPORT(long, map_again, (size_t bytes))
{
    uint8_t *pages = virtkit_map(bytes);
    pages[0] = 1;
    virtkit_unmap(pages, bytes);
    uint8_t *again = virtkit_map(bytes);
    return again == pages ? again[0] : -1;
}

VIRTKIT_EXPORT(void, flood, (long times))
{
    while (times-- > 0)
        virtkit_log("0123456789", 10);
}

VIRTKIT_EXPORT(void, panics, (void)) { virtkit_panic("enough"); }

VIRTKIT_EXPORT(void, calls_the_system, (void)) { __asm__ volatile("li a7, 64\necall" ::: "a0", "a7", "memory"); }
