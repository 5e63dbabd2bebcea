# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of `pgcask wal receive` share, on top of scene.sh: servers of their own, a receiver in the background,
# a load with a ledger of what was acknowledged, and the archive as plain files.
#
# A server is a directory $tmp/pg-NAME; at_server NAME turns to it. All WAL that a server ever wrote is kept in its pg_wal
# (wal_keep_size), so that what was archived can be compared with what was written.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

pg=$top/tests/pg.sh

# new_server NAME [LINE-OF-POSTGRESQL.CONF…]
new_server()
{
    chmod 711 "$tmp" # the server's own user has to pass
    PG_CONF=$(printf '%s\n' "wal_keep_size = 4GB" "autovacuum = off" "${@:2}")
    export PG_CONF PG_BASE=$tmp/pg-$1
    cleanup_fn env PG_BASE="$PG_BASE" "$pg" wipe
    "$pg" start || fail "PostgreSQL did not start"
    at_server "$1"
}

# at_server NAME - libpq's environment and $pg are about that one
at_server()
{
    export PG_BASE=$tmp/pg-$1
    eval "$("$pg" env)"
}

# server_bin PROGRAM… - as the server's user, with the server's programs
server_bin()
{
    local bindir

    bindir=${PG_BINDIR:-$(dirname "$(readlink -f "/proc/$("$pg" pid)/exe" 2>/dev/null || echo "$server_bindir/postgres")")}
    server_bindir=$bindir
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid "$(stat -c %u "$PG_BASE/data")" --regid "$(stat -c %g "$PG_BASE/data")" --clear-groups \
            env PATH="$bindir:$PATH" HOME=/ "$@"
    else
        env PATH="$bindir:$PATH" "$@"
    fi
}
server_bindir=

# new_copy NAME FROM-DIRECTORY - a server's directory out of a data directory, which is moved there; not started
new_copy()
{
    local to=$tmp/pg-$1

    mkdir -p "$to/sock"
    chmod 711 "$to"
    chmod 755 "$to/sock"
    mv "$2" "$to/data"
    chmod 700 "$to/data"
    chown --reference="$to/data" "$to" "$to/sock"
    free_port >"$to/port"
    sed -i "s|^unix_socket_directories.*|unix_socket_directories = '$to/sock'|" "$to/data/postgresql.conf"
    cleanup_fn env PG_BASE="$to" "$pg" wipe
}

# base_backup DIRECTORY [OPTION…] - of the server that we are at, by PostgreSQL's own program
base_backup()
{
    mkdir "$1"
    chown --reference="$PG_BASE/data" "$1"
    (cd / && server_bin pg_basebackup -D "$1" -h "$PGHOST" -p "$PGPORT" -U postgres -c fast "${@:2}") ||
        fail "no base backup"
}

# new_standby NAME - of the server that we are at; afterwards we are at the standby
new_standby()
{
    base_backup "$tmp/copy" -R -X stream
    new_copy "$1" "$tmp/copy"
    PG_BASE=$tmp/pg-$1 "$pg" start || fail "the standby did not start"
    at_server "$1"
}

# recovered NAME DIRECTORY - the base backup in DIRECTORY, recovered to the end of the archive; afterwards we are there
recovered()
{
    rm -rf "$tmp/plain"
    unpack_archive "$tmp/plain"
    find "$tmp/plain" -name '*.partial' -exec truncate -s 16M {} +
    chmod -R a+rX "$tmp/plain"
    new_copy "$1" "$2"
    cat >>"$tmp/pg-$1/data/postgresql.conf" <<END
restore_command = 'cp "$tmp/plain/%f" "%p" 2>/dev/null || cp "$tmp/plain/%f.partial" "%p" 2>/dev/null'
synchronous_standby_names = ''
END
    : >"$tmp/pg-$1/data/postgresql.auto.conf"
    touch "$tmp/pg-$1/data/recovery.signal"
    PG_BASE=$tmp/pg-$1 "$pg" start || fail "the recovered server did not start"
    at_server "$1"
    wait_until 60 is_promoted
}

is_promoted()
{
    [ "$(sql postgres -c 'SELECT pg_is_in_recovery()')" = f ]
}

# receive_config [LINE-OF-THE-CLUSTER…] - one store, its cluster is the server that we are at
receive_config()
{
    configure <<END
$(pgcask_section)
$(receive_section "$@")
$(store_section one)
END
}

receive_section()
{
    section "cluster main" "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=postgres" "slot = pgcask" \
        "partial_interval = 200ms" -- "$@"
}

# begin_receive [OPTION…] - in the background, until it streams; its pid is in $receiver, its words in $dir/log
begin_receive()
{
    pgcask wal receive -v "$@" >>"$dir/log" 2>&1 &
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 streams
}

# receive_fails CODE - it ends by itself
receive_fails()
{
    run_expect "$1" timeout 60 pgcask wal receive
}

streams()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_replication WHERE application_name = '${1:-pgcask}' AND state = 'streaming'")" = 1 ]
}

# end_receive [CODE] - by a signal; all is stored
end_receive()
{
    kill -TERM "$receiver"
    wait_gone 100 "$receiver"
    ended "$receiver"
    equal "$code" "${1:-0}" "exit code of the receiver"
}

# kill_receive - without a word
kill_receive()
{
    kill -KILL "$receiver" 2>/dev/null || :
    ended "$receiver" 2>/dev/null
}

log_has()
{
    grep -qF -e "$1" "$dir/log"
}

# stored LSN - the slot says that everything before it is in the stores
stored()
{
    [ "$(sql postgres -c "SELECT coalesce(restart_lsn >= '$1', false) FROM pg_replication_slots WHERE slot_name = 'pgcask'")" = t ]
}

# all_is_stored - whatever the server has flushed by now
all_is_stored()
{
    local lsn

    lsn=$(sql postgres -c 'SELECT pg_current_wal_flush_lsn()')
    wait_until 60 stored "$lsn"
}

# nothing_waits - no whole segment is in the spool
nothing_waits()
{
    [ -z "$(find "$dir"/state/receive-main/[0-9]* -type f ! -name '*.partial')" ]
}

# archived [PATTERN] - WAL files in the store, by the names that PostgreSQL has for them
archived()
{
    find "$dir/one/main/wal" -type f -name "${1:-*}" 2>/dev/null | sed 's|.*/||; s|-[0-9a-f]*\.zst.*||' | sort
}

archived_count()
{
    archived "$1" | wc -l
}

# unpack_archive DIRECTORY - every file of the archive as PostgreSQL wants it: with other tools than pgcask. Of several
# .partial files of one segment the longest counts; it is filled up with zeros.
unpack_archive()
{
    local object name to

    mkdir -p "$1"
    while read -r object; do
        name=$(basename "$object" | sed 's|-[0-9a-f]*\.zst.*||')
        to=$1/$name
        age -d -i "$dir/identity.txt" "$object" | zstd -dqc >"$to.new"
        if [ -e "$to" ] && [ "$(stat -c %s "$to")" -ge "$(stat -c %s "$to.new")" ]; then
            rm "$to.new"
        else
            mv "$to.new" "$to"
        fi
    done < <(find "$dir/one/main/wal" -type f)
}

# written NAME - where a server has that file: the one that we are at, else any
written()
{
    local file

    for file in "$PG_BASE/data/pg_wal/$1" "$tmp"/pg-*/data/pg_wal/"$1"; do
        [ ! -e "$file" ] || break
    done
    echo "$file"
}

# archive_is_right LEAST - at least so many segments, on each timeline no hole among them, each as the server wrote it; each
# .partial is the beginning of what the server has
archive_is_right()
{
    local file name size count=0 number last=

    rm -rf "$dir/plain"
    unpack_archive "$dir/plain"
    for file in "$dir"/plain/*; do
        name=$(basename "$file")
        case $name in
            *.history) continue ;;
            *.partial)
                size=$(stat -c %s "$file")
                cmp -n "$size" "$file" "$(written "${name%.partial}")" || fail "'$name' is not what the server wrote"
                [ ! -e "${file%.partial}" ] || fail "'$name' is there beside the whole segment"
                continue ;;
        esac
        cmp "$file" "$(written "$name")" || fail "'$name' is not what the server wrote"
        number=$((16#${name:8:8} * 256 + 16#${name:16:8}))
        [ -z "$last" ] || [ "${name:0:8}" != "${last%:*}" ] || equal "$number" $((${last#*:} + 1)) "number of the next segment"
        last=${name:0:8}:$number
        count=$((count + 1))
    done
    [ "$count" -ge "$1" ] || fail "only $count segments are archived"
}

# load SECONDS - rows and segment switches, without a pause
load()
{
    local until=$((SECONDS + $1))

    while [ "$SECONDS" -lt "$until" ]; do
        sql postgres -c 'INSERT INTO filler SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 4000) n' \
            -c 'SELECT pg_switch_wal()' >/dev/null 2>&1 || sleep 0.1
    done
}

# ledger_load FILE - single commits, each number written to FILE once it is acknowledged, until it is ended
ledger_load()
{
    local n=0

    while [ ! -e "$dir/enough" ]; do
        n=$((n + 1))
        ! sql postgres -c "INSERT INTO ledger VALUES ($n)" >/dev/null 2>&1 || echo "$n" >>"$1"
    done
}
