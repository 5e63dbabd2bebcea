#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# Measures backups to a bucket, on a PostgreSQL and a Ceph (memstore, loopback) of its own; README.md tells how to read
# it.
#
#   tests/bench/offsite.sh MIB [ROUNDS]     MIB of dump text: 300, 1024, 3072; ROUNDS: 3
#
# Environment:
#   PGCASK_BUILD   the build tree (default: build at the top; make it with CFLAGS=-O2, without sanitizers)
#   BENCH_BASE     keep PostgreSQL and its data there for the next time (default: a directory that is removed)
#   BACKUPS        how many backups `list` is measured with (default: 1000)
#   PG_FSYNC       on: the server syncs, too, which makes restores depend on the disk (default: off)
#
# Takes about MIB * 12 of disk space below $TMPDIR, and MIB * 3 of memory for what Ceph holds. Ends with 0 whatever the
# figures are.
set -eu
# shellcheck source=bench-lib.sh
. "$(dirname "$0")/bench-lib.sh"

for program in ceph-mon ceph-osd radosgw radosgw-admin openssl age zstd; do
    if ! PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null; then
        echo "$(basename "$0"): there is no '$program' (tests/deps.sh tells the packages)" >&2
        exit 1
    fi
done

ceph=$top/tests/servers/ceph.sh

bench_more()
{
    "$ceph" wipe
}

bench_begin "$@"
export CEPH_BASE="$work/ceph"
"$ceph" wipe # what a killed run left
bench_databases
"$ceph" start
# Tests do without the gateway's cache, since they kill it; each of its requests then reads users and buckets anew.
sed -i 's/^rgw_cache_enabled = false/rgw_cache_enabled = true/' "$CEPH_BASE/ceph.conf"
"$ceph" restart
eval "$("$ceph" env)"

PYTHONDONTWRITEBYTECODE=1 python3 "$bench/offsite.py" --mib "$mib" --rounds "$rounds" --pgcask "$build/pgcask" \
    --work "$work/offsite" --server-pid "$("$top/tests/pg.sh" pid)" --ceph "$ceph" --backups "${BACKUPS:-1000}" \
    --ceph-pids "$(cat "$CEPH_BASE"/run/*.pid | tr '\n' ' ')"
