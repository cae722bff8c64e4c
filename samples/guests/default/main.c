#include "guest.h"

static const char scratch[] = "VirtKit scratch disk";
static uint64_t uart, finisher, cpus, memory_start, memory_size;
static int failures;

static void find_basics(const struct node *node)
{
    if (node_is(node, "ns16550a"))
        uart = node->address;
    if (node_is(node, "sifive,test0"))
        finisher = node->address;
    if (node_is(node, "riscv"))
        cpus++;
    if (node->depth == 1 && node->address != 0 && node->compatible == NULL && node->name[0] == 'm' && node->name[1] == 'e' && node->name[2] == 'm') {
        memory_start = node->address;
        memory_size = node->size;
    }
}

static void list(const struct node *node)
{
    if (node->compatible == NULL || node->address == 0)
        return;
    print("  ");
    print(node->name);
    print("  ");
    print(node->compatible);
    print("\n");
}

static void report(const char *what, int good)
{
    print(what);
    print(good ? ": good\n" : ": FAILED\n");
    failures += !good;
}

static int starts_with(const uint8_t *bytes, const char *text)
{
    while (*text != 0 && *bytes == (uint8_t)*text) {
        bytes++;
        text++;
    }
    return *text == 0;
}

static void try_block(uint64_t base)
{
    static uint8_t sector[512], other[512];
    uint64_t count = virtio_block_sectors(base);
    print("Disk of ");
    print_number(count);
    print(" sectors, which begins ");
    int good = count > 0 && virtio_block(base, 0, 0, sector);
    print_bytes(sector, 16);
    print("\n");
    report("Disk, reading", good);
    if (!good || !starts_with(sector, scratch) || count < 2)
        return; /* somebody's disk: nothing is written to it */
    for (int i = 0; i < 512; i++)
        sector[i] = (uint8_t)(i * 7);
    good = virtio_block(base, 1, count - 1, sector) && virtio_block(base, 0, count - 1, other);
    for (int i = 0; i < 512; i++)
        good = good && sector[i] == other[i];
    report("Disk, writing and reading back", good);
}

static void try_entropy(uint64_t base)
{
    static uint8_t bytes[16];
    int good = virtio_entropy(base, bytes, sizeof bytes), any = 0;
    print("Random bytes ");
    print_bytes(bytes, sizeof bytes);
    print("\n");
    for (size_t i = 0; i < sizeof bytes; i++)
        any |= bytes[i];
    report("Entropy", good && any != 0);
}

static void try_device(const struct node *node)
{
    if (!node_is(node, "virtio,mmio"))
        return;
    uint32_t device = virtio_device(node->address);
    if (device == VIRTIO_BLOCK && virtio_start(node->address))
        try_block(node->address);
    else if (device == VIRTIO_ENTROPY && virtio_start(node->address))
        try_entropy(node->address);
}

static void power_off(void)
{
    if (finisher != 0)
        *(volatile uint32_t *)finisher = failures == 0 ? 0x5555 : (uint32_t)failures << 16 | 0x3333;
    /* SBI system reset: shutdown, no reason */
    register uint64_t a0 __asm__("a0") = 0, a1 __asm__("a1") = 0, a6 __asm__("a6") = 0, a7 __asm__("a7") = 0x53525354;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
}

void guest_main(const void *fdt, uint64_t hart)
{
    if (!fdt_valid(fdt))
        return;
    fdt_visit(fdt, find_basics);
    print_to(uart);
    print("Hello from VirtKit's default guest on hart ");
    print_number(hart);
    print(".\n");
    print_number(cpus);
    print(" hart(s), ");
    print_number(memory_size >> 20);
    print(" MiB of memory from ");
    print_hex(memory_start);
    print(".\n");
    const char *arguments = fdt_string(fdt, "chosen", "bootargs");
    if (arguments != NULL && arguments[0] != 0) {
        print("Command line: ");
        print(arguments);
        print("\n");
    }
    print("The device tree describes:\n");
    fdt_visit(fdt, list);
    fdt_visit(fdt, try_device);
    report("Console", 1);
    print(failures == 0 ? "All is well; powering off.\n" : "Powering off.\n");
    power_off();
}
