#!/bin/busybox sh
# The first process of the guest. The host takes the next line's time as "time to /init" and keeps it from the terminal.
printf '\033_virtkit:init\033\\'
export PATH=/bin HOME=/root TERM=linux
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
hostname virtkit

# Each module is verified as it loads, which takes its time: only those of the devices that are there.
[ -d /lib/modules/virtio ] && load virtio
for device in /sys/bus/virtio/devices/*/device; do
    name=virtio-$(cat "$device")
    [ -d "/lib/modules/$name" ] && load "$name"
done

# The virtio console where the board has one, otherwise the serial line.
console=/dev/hvc0
for attempt in 1 2 3 4 5; do
    [ -c $console ] && break
    sleep 0.1
done
[ -c $console ] || console=/dev/ttyS0

status=0
if [ -e /run/virtkit/command ]; then
    # The driver forgets a mode when its device is closed; the group holds it open.
    {
        stty -F $console raw -echo
        sh /run/virtkit/command
    } < /dev/null > $console 2>&1
    status=$?
else
    echo "Debian's kernel $(uname -r) on VirtKit. Ctrl-A x leaves; so does exit." > $console
    cd /root
    setsid -c sh -l < $console > $console 2>&1
fi

cd /
sync
umount -a -r -t ext2,ext3,ext4,vfat 2> /dev/null
# The finisher's register ends the machine with a code (0x3333 and the code above it), a PC's exit port with a byte; a plain power-off says 0.
if [ $status -ne 0 ]; then
    finisher=$(echo /proc/device-tree/soc/test@*)
    if [ -e "$finisher" ]; then
        devmem "0x${finisher##*@}" 32 $((status << 16 | 0x3333))
    else
        printf "\\$(printf %o $status)" | exit-port
    fi
fi
poweroff -f
