#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Runs a command of this tree on a clean Debian 12: in a minimal chroot, as root, with nothing
# installed but what the command itself installs.
#
#   tests/chroot.sh DIR COMMAND [ARGUMENT…]      for example: tests/chroot.sh /var/tmp/clean ./quickstart.sh
#
# DIR is made when it does not exist (debootstrap or mmdebstrap, from this machine's own Debian mirror)
# and kept; remove it for a clean start. What is committed in this tree is cloned to /pgcask in it, afresh
# each time, with --worktree also what is not committed. Needs root. The mounts of the chroot are private
# and end with the command; so does every process started in it, which has its own pid namespace.
set -eu

die()
{
    echo "chroot.sh: $*" >&2
    exit 2
}

worktree=
if [ "${1:-}" = --worktree ]; then
    worktree=1
    shift
fi
if [ $# -lt 2 ]; then
    sed -n 's/^#   tests/tests/p' "$0" >&2
    exit 2
fi
[ "$(id -u)" = 0 ] || die "needs root"
root=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm

# "URI suite" of every Debian archive apt uses here for this release
archives()
{
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(SUITE) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite=$suite '$3 ~ "^" suite && $1 ~ /debian/ { print $1, $3 }' | sort -u
}

make_root()
{
    local main

    main=$(archives | awk -v suite=$suite '$2 == suite { print $1; exit }')
    main=${main:-http://deb.debian.org/debian}
    if command -v mmdebstrap >/dev/null; then
        mmdebstrap --quiet --variant=minbase $suite "$root" "$main"
    elif command -v debootstrap >/dev/null; then
        debootstrap --variant=minbase $suite "$root" "$main"
    else
        die "needs mmdebstrap or debootstrap"
    fi
    rm -f "$root/etc/apt/sources.list.d/"*
    archives | sed 's/^/deb /; s/$/ main/' >"$root/etc/apt/sources.list"
    [ -s "$root/etc/apt/sources.list" ] || echo "deb $main $suite main" >"$root/etc/apt/sources.list"
    # how this machine reaches the archives: proxies, checks of dates, certificates
    apt-config dump | grep -E '^Acquire::(http|https|Check)[^ ]* "..*";$' >"$root/etc/apt/apt.conf.d/90host" || :
}

copy_tree()
{
    rm -rf "$root/pgcask"
    git clone --quiet --no-local "file://$top" "$root/pgcask"
    if [ -n "$worktree" ]; then
        (cd "$top" && git ls-files -z --cached --others --exclude-standard --deduplicate |
            while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
            tar -c --null -T - -f -) | tar -x -C "$root/pgcask" --no-same-owner
    fi
}

if [ ! -e "$root/etc/debian_version" ]; then
    make_root
fi
copy_tree
for file in resolv.conf hosts; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$root/etc/$file"
done

# The inner shell is process 1 of the namespace: it collects orphans, and when it ends, all the others do.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --pid --fork --propagation private --kill-child sh -c '
    set -e
    root=$1
    shift
    mount --bind "$root" "$root" # pivot_root wants a mount point
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" 2>/dev/null || :
    for node in null zero full random urandom tty; do
        [ -c "$root/dev/$node" ] || { : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; }
    done
    mkdir -p "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
    [ -e "$root/dev/ptmx" ] || : >"$root/dev/ptmx"
    [ -L "$root/dev/ptmx" ] || mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
    # pivot_root, not chroot: who enters the mount namespace of a test must find this root, too
    mkdir -p "$root/.outside"
    cd "$root"
    pivot_root . .outside
    umount -l /.outside
    rmdir /.outside
    code=0
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
        sh -c "cd /pgcask && exec \"\$@\"" sh "$@" </dev/null || code=$?
    exit $code
' sh "$root" "$@"
