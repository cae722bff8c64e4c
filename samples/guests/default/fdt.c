#include "guest.h"

/* Devicetree Specification 0.4, chapter 5. The host has built the tree; it is trusted here. */
enum { BEGIN = 1, END = 2, PROPERTY = 3, NOP = 4 };

static uint32_t cell(const void *at)
{
    const uint8_t *b = at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int equal(const char *left, const char *right)
{
    while (*left != 0 && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

static size_t length(const char *text)
{
    size_t count = 0;
    while (text[count] != 0)
        count++;
    return count;
}

int fdt_valid(const void *fdt)
{
    return fdt != NULL && cell(fdt) == 0xd00dfeed;
}

int node_is(const struct node *node, const char *model)
{
    for (size_t at = 0; at < node->compatible_length; at += length(node->compatible + at) + 1) {
        if (equal(node->compatible + at, model))
            return 1;
    }
    return 0;
}

/* Calls back at the end of a node's properties: at its first child or at its own end. */
static void walk(const void *fdt, void (*visit)(const struct node *), const char *node_name, const char *property_name, const char **found)
{
    const uint8_t *at = (const uint8_t *)fdt + cell((const uint8_t *)fdt + 8);
    const char *strings = (const char *)fdt + cell((const uint8_t *)fdt + 12);
    struct node node = { 0 };
    int depth = 0, open = 0;
    for (;;) {
        uint32_t token = cell(at);
        at += 4;
        if (token == PROPERTY) {
            uint32_t size = cell(at);
            const char *name = strings + cell(at + 4);
            const uint8_t *value = at + 8;
            at = value + ((size + 3) & ~3u);
            if (equal(name, "compatible")) {
                node.compatible = (const char *)value;
                node.compatible_length = size;
            } else if (equal(name, "reg") && size >= 16) {
                node.address = (uint64_t)cell(value) << 32 | cell(value + 4);
                node.size = (uint64_t)cell(value + 8) << 32 | cell(value + 12);
            }
            if (found != NULL && open && equal(node.name, node_name) && equal(name, property_name))
                *found = (const char *)value;
            continue;
        }
        if (token == NOP)
            continue;
        if (open && visit != NULL)
            visit(&node);
        open = 0;
        if (token == BEGIN) {
            node = (struct node){ .name = (const char *)at, .depth = depth++ };
            at += (length(node.name) + 4) & ~3u;
            open = 1;
        } else if (token == END) {
            depth--;
        } else {
            return;
        }
    }
}

void fdt_visit(const void *fdt, void (*visit)(const struct node *))
{
    walk(fdt, visit, NULL, NULL, NULL);
}

const char *fdt_string(const void *fdt, const char *node, const char *property)
{
    const char *found = NULL;
    walk(fdt, NULL, node, property, &found);
    return found;
}
