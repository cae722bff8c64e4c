#include "guest.h"

static volatile uint8_t *uart;

void print_to(uint64_t address)
{
    uart = (volatile uint8_t *)address;
}

static void put(char c)
{
    if (uart == NULL)
        return;
    while ((uart[5] & 0x20) == 0) /* LSR: transmitter holding register empty */
        ;
    uart[0] = (uint8_t)c;
}

void print(const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void print_bytes(const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        put(digits[bytes[i] >> 4]);
        put(digits[bytes[i] & 15]);
    }
}

void print_hex(uint64_t value)
{
    int shift = 60;
    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    print("0x");
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
}

void print_number(uint64_t value)
{
    char text[21];
    int at = 20;
    text[at] = 0;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(text + at);
}
