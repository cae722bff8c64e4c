// A linked list in random order through 16 MiB: a cache miss on each step and, with 4 KiB pages, a TLB miss as well.
#include "guest.h"

enum { NODES = 1 << 18 };

typedef struct node {
    struct node *next;
    uint64_t value;
    uint64_t unused[6]; // one node a cache line
} node;

static node nodes[NODES];
static uint32_t order[NODES];

WORKLOAD("chase", 24)
{
    uint64_t random = 5, checksum = 0;
    for (uint32_t i = 0; i < NODES; i++)
        order[i] = i;
    for (uint32_t i = NODES; --i > 0;) {
        uint32_t j = (uint32_t)(next_random(&random) % (i + 1)), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i;
    }

    node *at = &nodes[0];
    for (uint64_t n = 0; n < iterations; n++) {
        for (uint32_t i = 0; i < NODES; i++) {
            checksum += at->value ^ n;
            at = at->next;
        }
        at->value += n;
        at = at->next;
    }
    return fold(checksum, (uint64_t)(at - nodes));
}
