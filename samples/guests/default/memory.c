#include "guest.h"

/* The compiler calls these on its own. */
void *memset(void *target, int value, size_t count)
{
    uint8_t *bytes = target;
    while (count-- > 0)
        *bytes++ = (uint8_t)value;
    return target;
}

void *memcpy(void *restrict target, const void *restrict source, size_t count)
{
    uint8_t *to = target;
    const uint8_t *from = source;
    while (count-- > 0)
        *to++ = *from++;
    return target;
}
