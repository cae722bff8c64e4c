# Runs in the guest: debootstrap's second stage on the disk, that is dpkg, perl, and thousands of fork and exec.
mount -t ext4 /dev/vda /mnt
mount -t proc proc /mnt/proc
PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot /mnt /debootstrap/debootstrap --second-stage
echo "the guest's status is $?"
umount /mnt/proc
umount /mnt
