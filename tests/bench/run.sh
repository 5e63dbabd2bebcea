#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# Measures pgcask against what one would use instead, on a server of its own; README.md tells how to read it.
#
#   tests/bench/run.sh MIB [ROUNDS]     MIB of dump text: 300, 1024, 3072; ROUNDS: 3
#
# Environment:
#   PGCASK_BUILD   the build tree (default: build at the top; make it with CFLAGS=-O2, without sanitizers)
#   PG17_BINDIR    programs of PostgreSQL 16 or newer, for its own parallel zstd (default: looked for)
#   BENCH_BASE     keep server and data there for the next time (default: a directory that is removed)
#   PG_FSYNC       on: the server syncs, too, which makes restores depend on the disk (default: off)
#
# Takes about MIB * 12 of disk space below $TMPDIR. Ends with 0 whatever the figures are.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
bench=$top/tests/bench

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '/^#   tests\/bench/,/^#   PG_FSYNC/s/^#   \{0,1\}//p' "$0" >&2
    exit 2
fi
mib=$1
rounds=${2:-3}
build=${PGCASK_BUILD:-$top/build}
if [ ! -x "$build/pgcask" ]; then
    echo "run.sh: '$build' is no build tree: make one with tests/build.sh, or set PGCASK_BUILD" >&2
    exit 1
fi
build=$(cd "$build" && pwd)

# Bounds and targets are for two cores.
if [ "$(nproc)" -gt 2 ] && [ -z "${BENCH_PINNED:-}" ]; then
    BENCH_PINNED=1 exec taskset -c 0,1 "$0" "$@"
fi

work=${BENCH_BASE:-}
if [ -z "$work" ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-bench.XXXXXX")
fi
mkdir -p "$work"
work=$(cd "$work" && pwd)
chmod 711 "$work" # the server's own user has to pass
export PG_BASE="$work/pg"

leave()
{
    if [ -n "${BENCH_BASE:-}" ]; then
        "$top/tests/pg.sh" stop || :
    else
        "$top/tests/pg.sh" wipe || :
        rm -rf "$work"
    fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

has_database()
{
    [ "$(psql -XAtc "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]
}

# load_bulk MIB, load_noise MIB - a database under its final name is whole
load_bulk()
{
    has_database "bulk_$1" && return
    echo "loading bulk_$1" >&2
    dropdb --if-exists loading 2>/dev/null
    createdb loading
    psql -Xq -v ON_ERROR_STOP=1 -v mib="$1" -d loading -f "$top/tests/data/bulk.sql"
    psql -Xqc "ALTER DATABASE loading RENAME TO bulk_$1"
}

load_noise()
{
    has_database "noise_$1" && return
    echo "loading noise_$1" >&2
    dropdb --if-exists loading 2>/dev/null
    createdb -T template0 -E SQL_ASCII --locale=C loading
    python3 "$bench/noise.py" "$1" | PGCLIENTENCODING=SQL_ASCII psql -Xq -v ON_ERROR_STOP=1 -d loading
    psql -Xqc "ALTER DATABASE loading RENAME TO noise_$1"
}

PG_CONF=$(printf '%s\n' "shared_buffers = '512MB'" "autovacuum = off" "checkpoint_timeout = '1h'" "${PG_CONF:-}")
export PG_CONF
"$top/tests/pg.sh" start
eval "$("$top/tests/pg.sh" env)"
load_bulk "$mib"
load_noise "$mib"
load_bulk 300
load_noise 300

${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -Wall -I"$build" -I"$top/core" -I"$top/core/include" -o "$work/cipher" \
    "$bench/cipher.c" "$top/core/plugin/api.c" "$build/core/libpgcask.a" \
    -lcrypto -lpq -linih -lzstd -lxxhash -ljansson -lpthread

PYTHONDONTWRITEBYTECODE=1 python3 "$bench/measure.py" --mib "$mib" --rounds "$rounds" --pgcask "$build/pgcask" \
    --cipher "$work/cipher" --work "$work/run" --server-pid "$("$top/tests/pg.sh" pid)" --pg17 "${PG17_BINDIR:-}"
