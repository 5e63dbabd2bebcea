#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The Ceph of Debian's next releases (20 and later) in a chroot. It has what the one of Debian 12 lacks: checksums of
# its own, conditional writes in full, and a cold tier with thaw. Needs root.
#
#   tests/servers/ceph-new.sh setup       make the chroot when there is none: 1 to 2 minutes, 150 MB to load
#   tests/servers/ceph-new.sh …           everything that ceph.sh does, with its environment
#
# For a cold tier: CLOUD_TIER=self LC_DEBUG=3 RESTORE_PERIOD=6 ceph-new.sh start. Objects come into GLACIER and
# DEEP_ARCHIVE by lifecycle rules only, after days of LC_DEBUG seconds each. To read one is then 403
# InvalidObjectState until it is thawed: RestoreObject is 202, and HEAD says x-amz-restore.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
suite=sid
export CEPH_BASE=${CEPH_BASE:-${TMPDIR:-/tmp}/pgcask-ceph-new-$(id -u)}
# shellcheck source=lib-root.sh
. "$here/lib-root.sh"

inside()
{
    local name set=()

    for name in CEPH_BASE CEPH_STORE CEPH_OSDS LC_DEBUG CLOUD_TIER RESTORE_PERIOD DEBUG_RGW; do
        [ -z "${!name:-}" ] || set+=("$name=${!name}")
    done
    root_run $suite "$CEPH_BASE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${set[@]}" /servers/ceph.sh "$@"
}

case ${1:-} in
    setup) root_make $suite ceph-mon ceph-osd radosgw ceph-common openssl python3 ;;
    start | restart | quota | start-gateway | start-osd | admin) inside "$@" ;;
    wipe) "$here/ceph.sh" wipe; root_forget $suite "$CEPH_BASE" ;;
    *) exec "$here/ceph.sh" "$@" ;; # what ends processes and reads files does it from outside
esac
