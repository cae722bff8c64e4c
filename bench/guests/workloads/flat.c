// 4,000 generated functions, each run a few times, as in the start of a kernel: the cost of meeting code for the first time.
#include "flat.h"
#include "guest.h"

#define PART(n) extern flat_function *const flat_part_##n[FLAT_FUNCTIONS_PER_PART]
PART(0);
PART(1);
PART(2);
PART(3);
PART(4);
PART(5);
PART(6);
PART(7);

static flat_function *const *const parts[FLAT_PARTS] = {
    flat_part_0, flat_part_1, flat_part_2, flat_part_3, flat_part_4, flat_part_5, flat_part_6, flat_part_7,
};

static flat_state state;

WORKLOAD("flat", 12)
{
    uint64_t checksum = 0;
    for (int i = 0; i < FLAT_WORDS; i++)
        state.words[i] = (uint64_t)i * 0x9e3779b97f4a7c15ull;
    for (uint64_t n = 0; n < iterations; n++) {
        for (int part = 0; part < FLAT_PARTS; part++) {
            for (int i = 0; i < FLAT_FUNCTIONS_PER_PART; i++)
                checksum = fold(checksum, parts[part][i](&state, checksum + n));
        }
    }
    return checksum;
}
