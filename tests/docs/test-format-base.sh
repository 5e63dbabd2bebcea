#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# docs/format.md is enough to restore a whole cluster without pgcask: its commands are taken out of
# the page and run as they stand there, by the server's user, with the WAL of the backup and with
# the archive; the new cluster has to start and to hold what the old one held.

# shellcheck disable=SC2154 # lib.sh, behind the scene, sets them
# shellcheck source=../cli/scene-base.sh
. "$(dirname "$0")/../cli/scene-base.sh"
page=$top/docs/format.md

# blocks HEADING [N] - the bash blocks under that heading of the page, or only the N-th
blocks()
{
    local text

    text=$(awk -v heading="### $1" -v only="${2:-0}" '
        /^```/ && on && inside { inside = 0; next }
        /^```bash$/ && on { inside = 1; n++; next }
        inside && (only == 0 || n == only)
        /^##/ && !inside { on = $0 == heading }' "$page")
    [ -n "$text" ] || fail "the page has no commands under '$1'"
    printf '%s\n' "$text"
}

# as_server_user COMMAND… - as the one who owns the server's files
as_server_user()
{
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid "$(stat -c %U "$main_base/data")" --regid "$(stat -c %G "$main_base/data")" --clear-groups "$@"
    else
        "$@"
    fi
}

# by_the_page PLACE BLOCKS-OF-WAL - a script of what the page says, for that place
by_the_page()
{
    {
        echo "set -eu"
        echo "store=$dir/one cluster=main identity=$dir/identity.txt data=$1/data"
        echo "PATH=$(dirname "$(readlink -f "/proc/$("$pg" pid)/exe")"):\$PATH"
        blocks "Where a cluster goes" 2
        blocks "Unpack a cluster"
        # shellcheck disable=SC2086 # numbers
        for n in $2; do blocks "Its write-ahead log" "$n"; done
        cat <<END
cat >>"$1/data/postgresql.conf" <<CONF
unix_socket_directories = '$1/sock'
CONF
END
    } >"$dir/script"
}

# restored PLACE - run the script as the server's user; nothing is said but that all is well
restored()
{
    mkdir -p "$1/sock"
    [ "$(id -u)" != 0 ] || chown -R --reference="$main_base/data" "$1" "$dir"
    chmod 711 "$tmp"
    (cd / && as_server_user bash "$dir/script" >"$tmp/said" 2>"$tmp/err") || {
        cat "$tmp/said" "$tmp/err" >&2
        fail "the commands of the page failed"
    }
    equal "$(cat "$tmp/said")" "backup successfully verified" "what is said"
    [ ! -s "$tmp/err" ] || fail "not silent: $(cat "$tmp/err")"
    free_port >"$1/port"
    [ "$(id -u)" != 0 ] || chown --reference="$main_base/data" "$1/port"
    cleanup_fn env PG_BASE="$1" "$pg" wipe
    wake "$1"
}

test_a_backup_with_its_wal()
{
    local place=$tmp/place-include

    scene include
    base_config
    run_expect 0 pgcask backup
    contents >"$tmp/before"
    by_the_page "$place" 1
    restored "$place"
    contents "$place" >"$tmp/after"
    same "$tmp/before" "$tmp/after"
    equal "$(sql_of "$place" shop -c 'SELECT count(*) FROM bottle')" 20000 'bottles'
    equal "$(sql_of "$place" postgres -c 'SHOW archive_mode')" off 'archive_mode'
}

test_a_backup_and_the_archive()
{
    local place=$tmp/place-archive pid

    scene archive
    base_config "wal = archive"
    rm -f "$spool"/*
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 grep -q 'waiting for the WAL from' "$dir/said"
    while is_running "$pid"; do
        push_spool
        sleep 0.2
    done
    ended "$pid"
    equal "$code" 0 "exit code, $(cat "$dir/said")"
    sql shop -c "INSERT INTO stock VALUES (0, 'behind the backup')" -c 'SELECT pg_switch_wal()' >"$tmp/switched"
    wait_until 60 archived_all
    push_spool
    contents >"$tmp/before"
    by_the_page "$place" '1 2'
    sed -i 's/^pg_verifybackup/& -n/' "$dir/script"
    restored "$place"
    contents "$place" >"$tmp/after"
    same "$tmp/before" "$tmp/after"
    equal "$(sql_of "$place" postgres -c 'SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()')" 'f|2' 'its state'
}

archived_all()
{
    [ "$(sql postgres -c "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16777216) FROM pg_stat_archiver")" = t ]
}

start_archiving_postgres
load_shop
run_tests
