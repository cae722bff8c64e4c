#!/bin/busybox sh
# load NAME: inserts the modules of one purpose in an order in which they load.
while read -r module; do
    /bin/busybox insmod "/lib/modules/$1/$module.ko"
done < "/lib/modules/$1/order"
