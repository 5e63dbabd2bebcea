# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of the program share, on top of lib.sh: a directory with keys, a config and
# stores, and short ways to say what is done with them.
#
#     . "$(dirname "$0")/scene.sh"       (which sources lib.sh)
#     start_postgres
#     scene work                          $dir is $tmp/work now, with a key pair
#     configure <<END                     $dir/pgcask.ini, which PGCASK_CONFIG names
#     $(pgcask_section)
#     $(cluster_section)
#     $(store_section one)
#     $(job_section daily "databases = helpdesk")
#     END
#     run_expect 0 pgcask backup
#
# A section comes with what it needs; further lines are arguments, and one that sets the same key
# replaces the scene's own.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires psql pg_dump pg_restore jq zstd age python3

# scene NAME - a fresh $dir: identity.txt, recipient.txt; state/ and stores come with the first run
scene()
{
    of_scene "$1"
    rm -rf "$dir"
    mkdir -m 700 "$dir"
    run_expect 0 pgcask key new --output "$dir/identity.txt"
    cp "$tmp/out" "$dir/recipient.txt"
}

# configure [FILE] <TEXT - write the config, private to us
configure()
{
    rm -f "${1:-$dir/pgcask.ini}"
    (umask 077 && cat >"${1:-$dir/pgcask.ini}")
}

# section HEADER OWN-LINE… -- LINE… - the lines, and those of our own that they do not replace
section()
{
    local line own=()

    echo "[$1]"
    shift
    while [ "$1" != -- ]; do
        own+=("$1")
        shift
    done
    shift
    for line in ${own+"${own[@]}"}; do
        printf '%s\n' "$@" | grep -q "^${line%% *} *=" || echo "$line"
    done
    [ $# = 0 ] || printf '%s\n' "$@"
    echo
}

pgcask_section()
{
    section pgcask "state_dir = $dir/state" "recipient_file = $dir/recipient.txt" "identity_file = $dir/identity.txt" -- "$@"
}

cluster_section()
{
    section "cluster main" "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=postgres" -- "$@"
}

store_section()
{
    local name=$1

    shift
    section "store $name" "plugin = local" "path = $dir/$name" "create = yes" -- "$@"
}

job_section()
{
    local name=$1

    shift
    section "job $name" "cluster = main" "stores = one" -- "$@"
}

# simple_config [LINE-OF-THE-JOB…] - one cluster, the store one, the job daily
simple_config()
{
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "$@")
END
}

# latest_id - of the newest backup, whatever it is; "" when there is none
latest_id()
{
    pgcask list --json 2>/dev/null | jq -r 'last.id // ""'
}

# count_backups - how many the list shows
count_backups()
{
    pgcask list --json | jq length
}

# next_second - wait until no backup or verdict is as new as now
next_second()
{
    local now

    now=$(date -u +%Y%m%dT%H%M%SZ)
    while [ "$(date -u +%Y%m%dT%H%M%SZ)" = "$now" ]; do
        sleep 0.05
    done
}

# backup_dir [STORE] - where the newest backup's objects are
backup_dir()
{
    echo "$dir/${1:-one}/main/backup/$(latest_id)"
}

# objects [STORE] - all files below a store, sorted, without pgcask.json and verdicts
objects()
{
    (cd "$dir/${1:-one}" && find . -type f ! -name pgcask.json ! -name 'verdict-*' | sort)
}

# nothing_but_the_label [STORE] - the store holds its pgcask.json and nothing else
nothing_but_the_label()
{
    equal "$(cd "$dir/${1:-one}" && find . -type f)" ./pgcask.json "what the store holds"
}

# never COMMAND… - the test fails when it succeeds (after a plain '!' it would go on)
never()
{
    if "$@"; then
        fail "this must not hold: $*"
    fi
}

# of_scene NAME - go back to a scene that stands
of_scene()
{
    dir=$tmp/$1
    export HOME=$dir PGCASK_CONFIG=$dir/pgcask.ini
}

sql()
{
    psql -XAtq -v ON_ERROR_STOP=1 -d "$@"
}

# db_exists NAME
db_exists()
{
    [ "$(sql postgres -v "name=$1" <<<"SELECT count(*) FROM pg_database WHERE datname = :'name'")" = 1 ]
}

# databases - the names of all, one a line, sorted
databases()
{
    sql postgres -c 'SELECT datname FROM pg_database ORDER BY 1'
}

# unchanged FILE - the databases are those in FILE
unchanged()
{
    databases | diff "$1" - || fail "there are other databases than before"
}

# drop_database NAME - one with a subscription, too
drop_database()
{
    local name

    sql "$1" -c "SELECT quote_ident(subname) FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid
                 WHERE datname = current_database()" | while read -r name; do
        sql "$1" -c "ALTER SUBSCRIPTION $name DISABLE" -c "ALTER SUBSCRIPTION $name SET (slot_name = NONE)" \
            -c "DROP SUBSCRIPTION $name"
    done
    dropdb --force "$1"
}

# load_rich_data - the three rich databases; their names are helpdesk, $cellar and western
load_rich_data()
{
    "$pg" psql -q -f "$top/tests/data/rich.sql" >"$tmp/load" 2>&1 || fail "the rich data set does not load: $(cat "$tmp/load")"
}
# shellcheck disable=SC2034 # for those who source this
cellar='Fass №7 "alt" '\''süß'\'

# gate PROGRAM - a prefix for `exec =` that stops before PROGRAM: it touches $dir/arrived and waits for $dir/open
gate()
{
    cat >"$dir/gate" <<END
#!/bin/sh
case \$1 in
    *$1) if [ "\$2" != --version ]; then
            touch '$dir/arrived'
            while [ ! -e '$dir/open' ] && [ -d '$dir' ]; do sleep 0.02; done
        fi ;;
esac
exec "\$@"
END
    chmod 755 "$dir/gate"
    rm -f "$dir/arrived" "$dir/open"
    echo "$dir/gate"
}

# gate_within PROGRAM ARGUMENT - the same, but in the middle of what PROGRAM with that argument writes or, when it is
# pg_restore, reads: 100 kB pass, and the rest when $dir/open is there
gate_within()
{
    cat >"$dir/gate" <<END
#!/usr/bin/env python3
import os, shutil, subprocess, sys, time
if not sys.argv[1].endswith('$1') or '$2' not in sys.argv:
    os.execvp(sys.argv[1], sys.argv[1:])
reads = sys.argv[1].endswith('pg_restore')
child = subprocess.Popen(sys.argv[1:], **{'stdin' if reads else 'stdout': subprocess.PIPE})
source, sink = (sys.stdin.buffer, child.stdin) if reads else (child.stdout, sys.stdout.buffer)
try:
    sink.write(source.read(100000))
    sink.flush()
    open('$dir/arrived', 'w').close()
    while not os.path.exists('$dir/open') and os.path.isdir('$dir'):
        time.sleep(0.02)
    shutil.copyfileobj(source, sink)
    sink.close()
except BrokenPipeError:
    pass
os._exit(child.wait() % 256)
END
    chmod 755 "$dir/gate"
    rm -f "$dir/arrived" "$dir/open"
    echo "$dir/gate"
}

# flip FILE OFFSET - turn the bits of one byte
flip()
{
    python3 - "$@" <<'END'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(min(int(sys.argv[2]), f.seek(0, 2) - 1))
    at = f.tell()
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 255]))
END
}

# traced OPTION… COMMAND… - under strace, where a leak sanitizer cannot work
traced()
{
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 strace -f -qq -o "$dir/trace" "$@"
}

# traceable - can strace be used here?
traceable()
{
    command -v strace >/dev/null && strace -qq -o /dev/null true 2>/dev/null
}

# ended PID - wait for a background job; its exit code is in $code then
ended()
{
    code=0
    wait "$1" || code=$?
}
