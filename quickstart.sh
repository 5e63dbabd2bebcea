#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# From a fresh clone to a restored database: builds pgcask, starts a throw-away PostgreSQL with a
# small shop in it, backs it up, loses a table, gets everything back, and proves that it is equal.
#
#   ./quickstart.sh [--keep]      --keep: leave the directory with config, key and backups for a look
#
# Installs missing packages on Debian 12 (as root, or with sudo when that asks for no password). Leaves
# nothing running; works in ./build and in a directory below $TMPDIR that is removed at the end.
set -eu
top=$(cd "$(dirname "$0")" && pwd)
build=$top/build
keep=
case ${1:-} in
    '') ;;
    --keep) keep=1 ;;
    *)
        sed -n 's/^#   \.\/quick/.\/quick/p' "$0" >&2
        exit 2
        ;;
esac

say()
{
    printf '\n== %s\n' "$*"
}

# show COMMAND… - print it as one would type it, then run it
show()
{
    local word line='$'

    for word; do
        case $word in
            *[!A-Za-z0-9_./:=+-]*) line="$line '$word'" ;;
            *) line="$line $word" ;;
        esac
    done
    echo "$line"
    "$@"
}

leave()
{
    local code=$?

    "$top/tests/pg.sh" wipe || :
    if [ -n "$keep" ] && [ -d "$work/pgcask" ]; then
        echo "kept: $work/pgcask"
    else
        rm -rf "$work"
    fi
    [ "$code" = 0 ] || printf '\nquickstart.sh: stopped with exit code %s: the step above says why\n' "$code" >&2
    exit "$code"
}

say "packages"
"$top/tests/deps.sh" quickstart

say "build (into ./build)"
"$top/tests/build.sh" "$build"
PATH=$build:$PATH

say "a throw-away PostgreSQL with a small shop"
work=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-quickstart.XXXXXX")
chmod 711 "$work" # PostgreSQL's own user has to pass
export PG_BASE=$work/pg
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$top/tests/pg.sh" start
eval "$("$top/tests/pg.sh" env)"
psql -X -q -c 'CREATE DATABASE shop'
psql -X -q -d shop -f "$top/tests/data/shop.sql" >/dev/null
psql -X -q -c 'CREATE DATABASE shop_expected TEMPLATE shop' # to compare with at the end
psql -X -d shop -c 'SELECT count(*) AS purchases FROM purchase'

say "configure: one config, one key pair, one place to store"
umask 077
export PGCASK_CONFIG=$work/pgcask/pgcask.ini
show pgcask init --dir "$work/pgcask" --conninfo "host=$PGHOST port=$PGPORT user=postgres dbname=postgres" --database shop --state-dir "$work/pgcask/state"

say "back up: dump, compress, encrypt, store, read back"
show pgcask backup
show pgcask list
show pgcask verify

say "an accident"
show psql -X -d shop -c 'DROP TABLE purchase_line CASCADE'

say "restore beside the damaged database, and compare with what was"
show pgcask restore latest --into shop_restored
show "$top/tests/compare-db.sh" shop_expected shop_restored
echo "equal: every table, row, index, trigger, sequence, privilege and comment"

say "and without pgcask, with Debian's own programs"
member=$(find "$work/pgcask" -name 'shop.dump*.age' | head -n 1)
identity=$(find "$work/pgcask" -name 'identity*' | head -n 1)
echo "\$ age -d -i ${identity##*/} ${member##*/} | zstd -d | pg_restore -l"
age -d -i "$identity" "$member" | zstd -d -q | pg_restore -l | grep -c '^[0-9]' | sed 's/$/ entries in its table of contents/'

cat <<END

== done. What next:
  tests/build.sh build --prefix=/usr/local --sysconfdir=/etc
  sudo make -C build install            these two install it
  pgcask init --dir ~/pgcask            write pgcask.ini and a key pair; README.md, "Who runs it", says as which user
  export PGCASK_CONFIG=~/pgcask/pgcask.ini
  pgcask backup                         for cron: silent when all is well, see its exit codes
  pgcask restore latest --table public.purchase_line
  README.md, docs/, man pgcask          how it works, what is stored, how to write a plugin
Keep a copy of the identity file away from this machine: without it no backup can be read.
END
