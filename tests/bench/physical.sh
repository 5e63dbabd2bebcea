#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# Measures base backups, WAL archiving and restores of a whole cluster against pgBackRest and against plain programs, on
# a PostgreSQL 15 of its own; README.md tells how to read it.
#
#   tests/bench/physical.sh MIB [ROUNDS]    MIB of cluster: 100 to see that it runs, 3072 to judge; ROUNDS: 3
#
# Environment:
#   PGCASK_BUILD   the build tree (default: build at the top; make it with CFLAGS=-O2, without sanitizers)
#   PGCASK         an installed pgcask to measure; one of a build tree lacks what makes a call of `wal push` short
#   PGBACKREST     another pgbackrest than the one in PATH
#   SEGMENTS       how many WAL segments are pushed and fetched (default: 64)
#   BENCH_BASE     keep PostgreSQL and its data there for the next time (default: a directory that is removed)
#   PG_FSYNC       on: the server syncs, too (default: off)
#
# Takes about MIB * 6 and SEGMENTS * 60 MiB of disk space below $TMPDIR. Called by root it becomes the user that
# PostgreSQL runs as: server, pgBackRest and pgcask are one user's. Ends with 0 whatever the figures are.
set -eu

if [ "$(id -u)" = 0 ]; then
    user=$(id -un postgres 2>/dev/null || echo nobody)
    if [ -n "${BENCH_BASE:-}" ]; then
        mkdir -p "$BENCH_BASE"
        chown "$user" "$BENCH_BASE"
    fi
    exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups env HOME="${TMPDIR:-/tmp}" "$0" "$@"
fi
# shellcheck source=bench-lib.sh
. "$(dirname "$0")/bench-lib.sh"

pgbackrest=$(command -v "${PGBACKREST:-pgbackrest}") || pgbackrest=
for program in "${pgbackrest:-pgbackrest}" age zstd xxhsum; do
    if ! command -v "$program" >/dev/null; then
        echo "$(basename "$0"): there is no '$program' (tests/deps.sh bench brings it)" >&2
        exit 1
    fi
done

# archive - what PostgreSQL does with a segment that is full; '' keeps it
archive()
{
    psql -Xq -c "ALTER SYSTEM SET archive_command = '$1'" -c 'SELECT pg_reload_conf()' >/dev/null
}

# count_segments FIRST - that are full
count_segments()
{
    psql -XAtc "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}\$' AND name >= '$1'
                AND name < pg_walfile_name(pg_current_wal_lsn())"
}

# The cluster before it has any rows, and, once they are loaded, the segments that bring them: the most that is to be
# archived, and replayed, in a go. They are laid out as in a data directory.
load()
{
    segments=${SEGMENTS:-64}
    archive ''
    rm -rf "$dir/seed" "$dir/cluster"
    pg_basebackup -D "$dir/seed" -X fetch -c fast
    first=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]*\))$/\1/p' "$dir/seed/backup_label")
    find "$dir/seed/pg_wal" -type f -exec rm -f {} +
    load_bulk "$bulk"
    while [ "$(count_segments "$first")" -lt "$segments" ]; do
        psql -Xq -d "bulk_$bulk" -c 'CREATE TABLE more AS SELECT * FROM event_log' -c 'DROP TABLE more' \
            -c 'SELECT pg_switch_wal()' >/dev/null
    done
    mkdir -p "$dir/cluster/pg_wal/archive_status" "$dir/cluster/global"
    find "$PG_BASE/data/pg_wal" -maxdepth 1 -type f -printf '%f\n' | grep -E '^[0-9A-F]{24}$' | sort |
        awk -v first="$first" '$0 >= first' | head -n "$segments" >"$dir/segments"
    while read -r segment; do
        cp -p "$PG_BASE/data/pg_wal/$segment" "$dir/cluster/pg_wal/"
    done <"$dir/segments"
    cp "$PG_BASE/data/global/pg_control" "$dir/cluster/global/"
    cp "$PG_BASE/data/PG_VERSION" "$dir/cluster/"
    archive /bin/true
    psql -Xqc CHECKPOINT
    : >"$dir/loaded"
}

bench_begin "$@"
bulk=$(((mib - 40) * 2 / 3)) # MiB of dump text: half as much again in pages, and 40 for an empty cluster with its WAL
if [ "$bulk" -lt 20 ]; then
    echo "$name: $mib MiB are too little, at least 70 are needed" >&2
    exit 2
fi
dir=$work/physical_$mib
mkdir -p "$dir"
chmod 711 "$dir"
export PG_BASE="$dir/pg"
PG_CONF=$(printf '%s\n' "shared_buffers = '512MB'" "autovacuum = off" "checkpoint_timeout = '1h'" "archive_mode = on" \
    "archive_timeout = 0" "${PG_CONF:-}")
export PG_CONF
"$top/tests/pg.sh" start
eval "$("$top/tests/pg.sh" env)"
[ -e "$dir/loaded" ] || load

# Not the wrapper of the build tree: calls of a few milliseconds are measured.
if [ -z "${PGCASK:-}" ]; then
    PGCASK=$build/core/pgcask
    PGCASK_PLUGIN_PATH=$build/plugins/.libs
fi
export PGCASK_PLUGIN_PATH="${PGCASK_PLUGIN_PATH:-}"
PYTHONDONTWRITEBYTECODE=1 python3 "$bench/physical.py" --rounds "$rounds" --pgcask "$PGCASK" \
    --pgbackrest "$pgbackrest" --work "$dir/run" --data "$PG_BASE/data" --seed "$dir/seed" \
    --cluster "$dir/cluster" --segments "$dir/segments" --server-pid "$("$top/tests/pg.sh" pid)"
