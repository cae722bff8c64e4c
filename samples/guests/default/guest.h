/* VirtKit's default guest: greets, lists what the device tree describes, tries console, disk and entropy, powers off. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* print.c: the console, an NS16550A that the device tree names. */
void print_to(uint64_t uart);
void print(const char *text);
void print_bytes(const uint8_t *bytes, size_t length);
void print_hex(uint64_t value);
void print_number(uint64_t value);

/* fdt.c: a visitor sees each node that has properties it may want. */
struct node {
    const char *name;
    const char *compatible; /* the list's first entry, or NULL */
    size_t compatible_length;
    uint64_t address; /* the first address of reg, 0 without one */
    uint64_t size;
    int depth;
};

int fdt_valid(const void *fdt);
void fdt_visit(const void *fdt, void (*visit)(const struct node *));
const char *fdt_string(const void *fdt, const char *node, const char *property);
int node_is(const struct node *node, const char *model);

/* virtio.c: one request at a time on queue 0 of a virtio-mmio device. */
#define VIRTIO_BLOCK 2
#define VIRTIO_ENTROPY 4

uint32_t virtio_device(uint64_t base);
int virtio_start(uint64_t base);
uint64_t virtio_block_sectors(uint64_t base);
int virtio_block(uint64_t base, int write, uint64_t sector, void *bytes);
int virtio_entropy(uint64_t base, void *bytes, uint32_t length);
