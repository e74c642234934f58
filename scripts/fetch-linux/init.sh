#!/bin/sh
# The first process: mounts what a shell expects, runs the commands of the kernel command line (trivisor.run="...") or
# a shell on the console, and ends the run through the debug-exit port with the last exit status.
/bin/busybox mkdir -p /proc /sys /dev /tmp /usr/bin /usr/sbin /sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/ TERM=vt100

run=$(sed -n 's/.*trivisor\.run="\([^"]*\)".*/\1/p' /proc/cmdline)
echo 'trivisor: init runs'
if [ -n "$run" ]; then
    sh -c "$run"
else
    setsid cttyhack sh -i
fi
status=$?
echo "trivisor: init ends with status $status"
# Port 0xf4: the byte written is the machine's exit status.
printf "\\x$(printf %02x $status)" | dd of=/dev/port bs=1 seek=244 2>/dev/null
# A machine without that port.
poweroff -f
