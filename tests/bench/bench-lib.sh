# shellcheck shell=sh
# SPDX-License-Identifier: PostgreSQL
#
# What run.sh and offsite.sh have in common: arguments, two cores, a directory, and a server with the data. Sourced:
#
#     bench_begin "$@"       # sets $mib $rounds $build $work, ends what it started when the script ends
#     bench_databases        # the server, with bulk_N and noise_N for N = $mib and 300
#
# bench_more, when the script defines it, is called at the end.

# shellcheck disable=SC2034 # the scripts read what is set here
top=$(cd "$(dirname "$0")/../.." && pwd)
bench=$top/tests/bench

bench_leave()
{
    if command -v bench_more >/dev/null; then
        bench_more || :
    fi
    if [ -n "${BENCH_BASE:-}" ]; then
        "$top/tests/pg.sh" stop || :
    else
        "$top/tests/pg.sh" wipe || :
        rm -rf "$work"
    fi
}

bench_begin()
{
    name=$(basename "$0")
    if [ $# -lt 1 ] || [ $# -gt 2 ]; then
        sed -n '/^#   tests\/bench/,/^#   PG_FSYNC/s/^#   \{0,1\}//p' "$0" >&2
        exit 2
    fi
    mib=$1
    rounds=${2:-3}
    build=${PGCASK_BUILD:-$top/build}
    if [ ! -x "$build/pgcask" ]; then
        echo "$name: '$build' is no build tree: make one with tests/build.sh, or set PGCASK_BUILD" >&2
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
    trap bench_leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

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

bench_databases()
{
    PG_CONF=$(printf '%s\n' "shared_buffers = '512MB'" "autovacuum = off" "checkpoint_timeout = '1h'" "${PG_CONF:-}")
    export PG_CONF
    "$top/tests/pg.sh" start
    eval "$("$top/tests/pg.sh" env)"
    load_bulk "$mib"
    load_noise "$mib"
    load_bulk 300
    load_noise 300
}
