/* A plug-in that attacks its host, in one way a call. */
#include "virtkit.h"

VIRTKIT_IMPORT(void, log, (const char *text, size_t length));
VIRTKIT_IMPORT(long, format_the_disk, (void));

static void recurse(volatile char *outer)
{
    volatile char frame[256];
    frame[0] = *outer;
    recurse(frame);
    *outer = frame[0];
}

VIRTKIT_EXPORT(long, attack, (int kind))
{
    static const uint32_t nop = 0x13;
    switch (kind) {
    case 0:
        return *(volatile long *)0;
    case 1:
        *(volatile long *)0x7fffffffffffUL = 1;
        return 0;
    case 2:
        *(volatile uint32_t *)attack = nop;
        return 0;
    case 3:
        ((void (*)(void))0xffffffffffff0000UL)();
        return 0;
    case 4:
        for (;;)
            __asm__ volatile("");
    case 5: {
        volatile char frame = 0;
        recurse(&frame);
        return 0;
    }
    case 6:
        for (;;) {
            if (!virtkit_map(1 << 20))
                virtkit_panic("no memory is left");
        }
    case 7:
        return format_the_disk();
    case 8:
        log((const char *)0x123456789abcUL, 1UL << 40);
        return 0;
    case 9:
        __asm__ volatile("li a0, 1\nli a7, 93\necall" ::: "a0", "a7");
        return 0;
    case 10:
        __asm__ volatile(".word 0xffffffff");
        return 0;
    default:
        return kind;
    }
}
