// The parts of QEMU's `virt` board that the runtime uses: a 16550 UART and the test finisher.
#pragma once

#include <stdint.h>

#define UART_BASE 0x10000000ul
#define FINISHER_BASE 0x100000ul

void print(const char *text);
void print_decimal(uint64_t value);
void print_hex(uint64_t value);

// Ends the machine: status 0 is success.
_Noreturn void finish(uint16_t status);
