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
# shellcheck source=bench-lib.sh
. "$(dirname "$0")/bench-lib.sh"

bench_begin "$@"
bench_databases

${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -Wall -I"$build" -I"$top/core" -I"$top/core/include" -o "$work/cipher" \
    "$bench/cipher.c" "$top/core/plugin/api.c" "$build/core/libpgcask.a" \
    -lcrypto -lpq -linih -lzstd -lxxhash -ljansson -lpthread

PYTHONDONTWRITEBYTECODE=1 python3 "$bench/measure.py" --mib "$mib" --rounds "$rounds" --pgcask "$build/pgcask" \
    --cipher "$work/cipher" --work "$work/run" --server-pid "$("$top/tests/pg.sh" pid)" --pg17 "${PG17_BINDIR:-}"
