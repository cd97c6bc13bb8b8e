#!/bin/sh
# Boots systemd as process 1 of new namespaces (the caller's: unshare -p -m -C -n -u), over a copy-on-write view of this machine's
# files: whatever is installed and changed inside is gone with it.
#
#   boot.sh FOLDER REPOSITORY PROGRAMS
set -eu
folder=$1
repository=$2
programs=$3

mount -t tmpfs tmpfs "$folder"
mkdir "$folder/changes" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/changes,workdir=$folder/work" "$root"
mkdir -p "$root/srv/repository" "$root/srv/programs"
# Neither need lie on the file system that / is.
mount --bind "$repository" "$root/srv/repository"
mount --bind "$programs" "$root/srv/programs"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/root"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
ip link set lo up
exec chroot "$root" /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --log-target=console
