// The reference for the KVM engine: the same guest code through the same ioctls, in C.
//   exits port|mmio COUNT    nanoseconds for each exit
//   exits create COUNT       nanoseconds from opening /dev/kvm to the first instruction's HLT, machine torn down
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RAM = 0x80000, CODE = 0x10000 };

static const uint8_t port_loop[] = { 0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd };                         // mov dx,80; out dx,al; jmp -3
static const uint8_t mmio_loop[] = { 0xb8, 0x00, 0xa0, 0x8e, 0xd8, 0xa1, 0x00, 0x00, 0xeb, 0xfb }; // mov ax,a000; mov ds,ax; mov ax,[0]; jmp -5
static const uint8_t halt[] = { 0xf4 };

struct vm { int system, machine, vcpu, memory; size_t run_size; uint8_t *ram; struct kvm_run *run; };

static void check(int result, const char *what) { if (result < 0) { perror(what); exit(1); } }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void create(struct vm *vm, const void *code, size_t length)
{
    check(vm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    check(vm->machine = ioctl(vm->system, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    uint64_t identity = 0xfeffc000;
    check(ioctl(vm->machine, KVM_SET_IDENTITY_MAP_ADDR, &identity), "KVM_SET_IDENTITY_MAP_ADDR");
    check(ioctl(vm->machine, KVM_SET_TSS_ADDR, identity + 0x1000), "KVM_SET_TSS_ADDR");
    check(vm->memory = memfd_create("exits", MFD_CLOEXEC), "memfd_create");
    check(ftruncate(vm->memory, RAM), "ftruncate");
    vm->ram = mmap(0, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, vm->memory, 0);
    struct kvm_userspace_memory_region region = { 0, 0, 0, RAM, (uintptr_t)vm->ram };
    check(ioctl(vm->machine, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    check(vm->vcpu = ioctl(vm->machine, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + 256 * sizeof cpuid->entries[0]);
    cpuid->nent = 256;
    check(ioctl(vm->system, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
    check(ioctl(vm->vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
    free(cpuid);
    vm->run_size = ioctl(vm->system, KVM_GET_VCPU_MMAP_SIZE, 0);
    vm->run = mmap(0, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
    memcpy(vm->ram + CODE, code, length);
    struct kvm_sregs sregs;
    check(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = CODE;
    sregs.cs.selector = CODE >> 4;
    check(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    struct kvm_regs regs = { .rflags = 2 };
    check(ioctl(vm->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void destroy(struct vm *vm)
{
    munmap(vm->run, vm->run_size);
    munmap(vm->ram, RAM);
    close(vm->vcpu), close(vm->machine), close(vm->memory), close(vm->system);
}

static void run(struct vm *vm, unsigned expected)
{
    check(ioctl(vm->vcpu, KVM_RUN, 0), "KVM_RUN");
    if (vm->run->exit_reason != expected) {
        fprintf(stderr, "exit %u instead of %u\n", vm->run->exit_reason, expected);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long count = atol(argv[2]);
    struct vm vm;
    if (!strcmp(argv[1], "create")) {
        double start = now();
        for (long i = 0; i < count; i++) {
            create(&vm, halt, sizeof halt);
            run(&vm, KVM_EXIT_HLT);
            destroy(&vm);
        }
        printf("%.0f\n", (now() - start) / count);
        return 0;
    }
    int mmio = !strcmp(argv[1], "mmio");
    create(&vm, mmio ? mmio_loop : port_loop, mmio ? sizeof mmio_loop : sizeof port_loop);
    unsigned expected = mmio ? KVM_EXIT_MMIO : KVM_EXIT_IO;
    for (long i = 0; i < count / 10; i++)
        run(&vm, expected);
    double start = now();
    for (long i = 0; i < count; i++) {
        run(&vm, expected);
        if (mmio)
            memset(vm.run->mmio.data, 0, 8);
    }
    printf("%.0f\n", (now() - start) / count);
    destroy(&vm);
    return 0;
}
