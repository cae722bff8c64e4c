#include "guest.h"

/* virtio 1.2: §4.2.2 the registers, §2.7 the split queue, §5.2 the block device, §5.4 the entropy device. */
enum { MAGIC = 0x00, VERSION = 0x04, DEVICE = 0x08, DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24, QUEUE_SEL = 0x30, QUEUE_NUM = 0x38,
       QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50, STATUS = 0x70, QUEUE_DESC = 0x80, QUEUE_DRIVER = 0x90, QUEUE_DEVICE = 0xa0, CONFIG = 0x100 };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { NEXT = 1, DEVICE_WRITES = 2 };
enum { SIZE = 4, SECTOR = 512 };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

static struct {
    struct descriptor descriptors[SIZE];
    volatile struct { uint16_t flags, index, ring[SIZE]; } available;
    volatile struct { uint16_t flags, index; struct { uint32_t id, length; } ring[SIZE]; } used __attribute__((aligned(8)));
} queue __attribute__((aligned(16)));

static volatile uint32_t *reg(uint64_t base, uint32_t offset)
{
    return (volatile uint32_t *)(base + offset);
}

static void set_address(uint64_t base, uint32_t offset, const volatile void *address)
{
    *reg(base, offset) = (uint32_t)(uint64_t)address;
    *reg(base, offset + 4) = (uint32_t)((uint64_t)address >> 32);
}

uint32_t virtio_device(uint64_t base)
{
    return *reg(base, MAGIC) == 0x74726976 && *reg(base, VERSION) == 2 ? *reg(base, DEVICE) : 0;
}

int virtio_start(uint64_t base)
{
    *reg(base, STATUS) = 0;
    queue.available.index = 0;
    queue.used.index = 0;
    *reg(base, STATUS) = ACKNOWLEDGE | DRIVER;
    *reg(base, DRIVER_FEATURES_SEL) = 0;
    *reg(base, DRIVER_FEATURES) = 0;
    *reg(base, DRIVER_FEATURES_SEL) = 1;
    *reg(base, DRIVER_FEATURES) = 1; /* VIRTIO_F_VERSION_1 is bit 32 */
    *reg(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    if ((*reg(base, STATUS) & FEATURES_OK) == 0)
        return 0;
    *reg(base, QUEUE_SEL) = 0;
    *reg(base, QUEUE_NUM) = SIZE;
    set_address(base, QUEUE_DESC, queue.descriptors);
    set_address(base, QUEUE_DRIVER, &queue.available);
    set_address(base, QUEUE_DEVICE, &queue.used);
    *reg(base, QUEUE_READY) = 1;
    *reg(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    return 1;
}

/* Hands the chain that begins at descriptor 0 to the device and waits for it, a bounded while. */
static int complete(uint64_t base)
{
    uint16_t index = queue.available.index;
    queue.available.ring[index % SIZE] = 0;
    __asm__ volatile("fence rw, rw" ::: "memory");
    queue.available.index = (uint16_t)(index + 1);
    __asm__ volatile("fence rw, rw" ::: "memory");
    *reg(base, QUEUE_NOTIFY) = 0;
    for (uint32_t spin = 0; spin < 100000000; spin++) {
        if (queue.used.index == (uint16_t)(index + 1)) {
            __asm__ volatile("fence rw, rw" ::: "memory");
            return 1;
        }
    }
    return 0;
}

static void describe(int index, const volatile void *address, uint32_t length, uint16_t flags)
{
    queue.descriptors[index] = (struct descriptor){ (uint64_t)address, length, flags, (uint16_t)(index + 1) };
}

uint64_t virtio_block_sectors(uint64_t base)
{
    return *reg(base, CONFIG) | (uint64_t)*reg(base, CONFIG + 4) << 32;
}

int virtio_block(uint64_t base, int write, uint64_t sector, void *bytes)
{
    static struct { uint32_t type, reserved; uint64_t sector; } header;
    static volatile uint8_t status;
    header.type = (uint32_t)write;
    header.sector = sector;
    status = 0xff;
    describe(0, &header, sizeof header, NEXT);
    describe(1, bytes, SECTOR, write ? NEXT : NEXT | DEVICE_WRITES);
    describe(2, &status, 1, DEVICE_WRITES);
    return complete(base) && status == 0;
}

int virtio_entropy(uint64_t base, void *bytes, uint32_t length)
{
    describe(0, bytes, length, DEVICE_WRITES);
    return complete(base) && queue.used.ring[(uint16_t)(queue.used.index - 1) % SIZE].length > 0;
}
