# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# Debian releases other than this machine's, each in a directory, for servers that Debian 12 does not have. Sourced by
# ceph-new.sh and swift.sh. Needs root. Made from this machine's own Debian mirror, kept between runs, in
# PGCASK_SERVERS_DIR (default: pgcask-servers in $XDG_CACHE_HOME or ~/.cache).

roots=${PGCASK_SERVERS_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgcask-servers}

root_die()
{
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# the Debian archive that apt uses here
root_mirror()
{
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk '$1 ~ /debian\/?$/ && $2 !~ /security|updates|backports/ { print $1; exit }'
}

# How this machine reaches the archive, for the apt of the chroot. A mirror may lag behind the date until which the list
# of a moving release is valid; signatures are checked in any case.
root_apt_options()
{
    apt-config dump | grep -E '^Acquire::(http|https)[^ ]* "..*";$' || :
    echo 'Acquire::Check-Valid-Until "false";'
}

# root_make SUITE PACKAGE… - unless it is there; an unfinished one is made anew
root_make()
{
    local root=$roots/$1 suite=$1 packages mirror options

    [ ! -e "$root/.complete" ] || return 0
    [ "$(id -u)" = 0 ] || root_die "making a chroot of Debian $suite needs root"
    command -v mmdebstrap >/dev/null || root_die "needs the program 'mmdebstrap'; see tests/deps.sh extended"
    shift
    packages=$(printf ',%s' ca-certificates "$@")
    mirror=$(root_mirror)
    mkdir -p "$roots"
    exec 9>"$roots/.lock"
    flock 9
    if [ ! -e "$root/.complete" ]; then
        rm -rf --one-file-system "$root"
        options=$(mktemp)
        root_apt_options >"$options"
        # shellcheck disable=SC2016 # expanded by mmdebstrap
        mmdebstrap --quiet --variant=minbase --aptopt="$options" --include="${packages#,}" \
            --essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"' \
            --essential-hook='chmod 755 "$1/usr/sbin/policy-rc.d"' \
            "$suite" "$root" "${mirror:-http://deb.debian.org/debian}" ||
            root_die "the chroot '$root' could not be made"
        rm -f "$options"
        : >"$root/.complete"
    fi
    exec 9>&-
}

# root_run SUITE BASE COMMAND… - in the chroot, where BASE stands under its own name and these scripts in /servers.
# The mounts are seen by this command only, and by what it leaves running.
root_run()
{
    local root=$roots/$1 base=$2

    [ -e "$root/.complete" ] || root_die "there is no chroot '$root': call '$(basename "$0") setup' first"
    [ "$(id -u)" = 0 ] || root_die "a chroot needs root"
    shift 2
    mkdir -p "$base" "$root/servers"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --propagation private sh -c '
        set -e
        root=$1 base=$2 servers=$3
        shift 3
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        case $base in /tmp/*) mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" ;; esac
        mkdir -p "$root$base"
        mount --bind "$base" "$root$base"
        mount --bind "$servers" "$root/servers"
        exec chroot "$root" "$@"
    ' sh "$root" "$base" "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)" "$@"
}

# root_forget SUITE BASE - take the empty directories that lead to BASE out of the chroot, but not /var/tmp and the like
root_forget()
{
    local dir=$2

    while [[ $dir == /*/*/* ]]; do
        rmdir "$roots/$1$dir" 2>/dev/null || break
        dir=${dir%/*}
    done
}
