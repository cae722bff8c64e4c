/* Functions between a guest in a VirtKit sandbox and its host. Works with gcc and clang for riscv64, static or static-pie, with or without a C library.
 *
 *   VIRTKIT_IMPORT(void, log, (const char *text, size_t length));    what the host exposes as "log"
 *   VIRTKIT_EXPORT(long, score, (int weight, const char *text)) { ... }     what the host calls as "score"
 *
 * Numbers and pointers are passed as C passes them. A span of the host's is a pointer and the number of elements, a string is UTF-8 with a zero behind it.
 */
#ifndef VIRTKIT_H
#define VIRTKIT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that a function returns. */
typedef struct {
    const void *data;
    size_t length;
} virtkit_bytes;

/* A table's entry is the address of a name and, of a function of the guest, its address. */
#define VIRTKIT_NAME(name, kind, label) \
    ".pushsection .rodata.virtkit,\"a\",@progbits\n" label "_name: .asciz \"" #name "\"\n.popsection\n" \
    ".pushsection .virtkit." kind ",\"awR\",@progbits\n.balign 8\n"

/* The host has put the address at which it is called into the entry, and finds the entry in t0. */
#define VIRTKIT_IMPORT(type, name, parameters) \
    type name parameters; \
    __asm__(VIRTKIT_NAME(name, "imports", ".Lvirtkit_import_" #name) ".Lvirtkit_import_" #name ": .dword .Lvirtkit_import_" #name "_name, 0\n.popsection\n" \
            ".pushsection .text." #name ",\"ax\",@progbits\n.weak " #name "\n.type " #name ",@function\n" #name ":\n" \
            "lla t0, .Lvirtkit_import_" #name "\nld t1, 8(t0)\njr t1\n.size " #name ", .-" #name "\n.popsection\n")

#define VIRTKIT_EXPORT(type, name, parameters) \
    __attribute__((used, visibility("default"))) type name parameters; \
    __asm__(VIRTKIT_NAME(name, "exports", ".Lvirtkit_export_" #name) ".dword .Lvirtkit_export_" #name "_name, " #name "\n.popsection\n"); \
    type name parameters

/* What the linker has made shorter relies on this register. */
__asm__(VIRTKIT_NAME(__global_pointer$, "exports", ".Lvirtkit_gp") ".weak __global_pointer$\n.dword .Lvirtkit_gp_name, __global_pointer$\n.popsection\n");

/* Every host has these. */
VIRTKIT_IMPORT(void *, virtkit_map, (size_t bytes));                  /* zeroed pages, or a null pointer */
VIRTKIT_IMPORT(void, virtkit_unmap, (void *pages, size_t bytes));
VIRTKIT_IMPORT(void, virtkit_log, (const char *text, size_t length)); /* to the host's log, if it has one; there is a limit */
VIRTKIT_IMPORT(void, virtkit_panic, (const char *reason));            /* ends the call; does not return */

#endif
