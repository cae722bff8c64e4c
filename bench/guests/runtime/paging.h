#pragma once

#include <stdint.h>

// Builds the page tables and returns the value for satp.
uint64_t build_page_tables(void);
