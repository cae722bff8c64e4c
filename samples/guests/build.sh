#!/bin/sh
# Builds the samples' guests: build.sh [OUTPUT FOLDER]. The binaries are committed, so that the samples run without a cross compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here}
mkdir -p "$output"
cd "$here"
flags="-march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany -Os -ffreestanding -fno-tree-loop-distribute-patterns -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra -Werror
    -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096 -Wl,--strip-all"
# Names relative to this folder and no debug information: the same compiler gives the same bytes anywhere.
riscv64-linux-gnu-gcc $flags -T default/link.ld -o "$output/default.elf" default/start.S default/main.c default/print.c default/fdt.c default/virtio.c default/memory.c
riscv64-linux-gnu-gcc $flags -Wl,-N -Wl,-Ttext=0x80000000 -o "$output/squarer.elf" squarer/squarer.S

ending() {
    riscv64-linux-gnu-gcc ${flags%-Wl,--strip-all} -Wl,-N -Wl,-Ttext=0x80000000 "$2" -o "$output/$1.elf" endings/endings.S
    # Only tohost is found by its name; the others would keep the compiler's temporary names.
    riscv64-linux-gnu-strip --strip-all --keep-symbol=tohost "$output/$1.elf"
}
ending finish-pass -DFINISH=0x5555
ending finish-fail -DFINISH=0x2a3333
ending tohost-pass -DTOHOST=1
ending tohost-fail -DTOHOST=43
ending spin -DSPIN

# Plug-ins for sandboxes (include/virtkit.h): rv64gc as every distribution's compiler makes it, with line numbers for the messages of traps.
plugin="-march=rv64gc -mabi=lp64d -mcmodel=medany -O2 -g -ffile-prefix-map=$here=. -ffreestanding -fno-stack-protector -Wall -Wextra -Werror -Iinclude -nostdlib -Wl,--build-id=none -Wl,-e,0"
riscv64-linux-gnu-gcc $plugin -static -o "$output/calls.elf" plugins/calls.c
riscv64-linux-gnu-gcc $plugin -fPIE -static-pie -Wl,--no-dynamic-linker -Wl,--strip-all -o "$output/calls-pie.elf" plugins/calls.c
for name in words caesar hostile; do
    riscv64-linux-gnu-gcc $plugin -Wno-infinite-recursion -Wno-array-bounds -static -o "$output/$name.elf" "plugins/$name.c"
done
