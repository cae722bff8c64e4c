// What the generated functions of the flat workload share.
#pragma once

#include <stdint.h>

enum { FLAT_PARTS = 8, FLAT_FUNCTIONS_PER_PART = 500, FLAT_WORDS = 256 };

typedef struct {
    uint64_t words[FLAT_WORDS];
} flat_state;

typedef uint64_t flat_function(flat_state *state, uint64_t x);
