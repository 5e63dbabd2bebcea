#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# What may go wrong while a base backup is made: the server dies, pgcask dies, the connection goes,
# somebody stops it; and a standby as the source, promoted in the middle.

# shellcheck source=scene-base.sh
. "$(dirname "${BASH_SOURCE[0]}")/scene-base.sh"

# slow_config [LINE…] - a backup that takes some seconds
slow_config()
{
    base_config "max_rate = 4MiB" "$@"
}

# A backup in the background that is in the middle of its data directory by now; its pid in $pid, its talk in $dir/said
in_the_middle()
{
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 is_streaming
}

is_streaming()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_progress_basebackup WHERE phase = 'streaming database files'
        AND backup_streamed > 2000000")" = 1 ]
}

# The server has no backup under way, and no slot of ours.
server_is_free()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_progress_basebackup" -c "SELECT count(*) FROM pg_replication_slots" |
        paste -sd ' ')" = "0 0" ]
}

# rubbish - files that belong to no finished backup
rubbish()
{
    find "$dir/one/main/lease" -type f 2>/dev/null || :
    find "$dir/one" -name '.pgcask-*'
    find "$dir/one/main/backup" -mindepth 1 -type d | while read -r object; do
        [ -e "$object/manifest.json" ] || find "$object" -type f
    done
}

test_killed_at_many_moments()
{
    local i begin total_ms pid killed=0

    scene moments
    base_config
    run_expect 0 pgcask backup
    rm -rf "$dir/one/main" "$dir/state/cache"
    begin=${EPOCHREALTIME/./}
    run_expect 0 pgcask backup
    total_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    for ((i = 0; killed < 12 && i < 40; i++)); do
        rm -rf "$dir/one/main" "$dir/state/cache"
        pgcask backup >"$dir/out" 2>&1 &
        pid=$!
        sleep "$(printf '%d.%03d' $((total_ms * (i % 12) / 12 / 1000)) $((total_ms * (i % 12) / 12 % 1000)))"
        if kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        else
            total_ms=$((total_ms * 9 / 10))
        fi
        ended "$pid" 2>/dev/null
        wait_until 20 server_is_free # it notices that nobody listens any more
        run_expect 0 pgcask list --json
        [ "$(jq length "$tmp/out")" = 0 ] || run_expect 0 pgcask verify --all --deep
        run_expect 0 pgcask backup
        equal "$(rubbish)" "" "rubbish"
    done
    [ "$killed" = 12 ] || fail "only $killed were killed"
}

test_a_server_that_dies_leaves_no_backup()
{
    local pid

    scene crash
    slow_config
    in_the_middle
    "$pg" crash
    ended "$pid"
    "$pg" start
    equal "$code" 1 'exit code'
    grep -q '^ERROR: ' "$dir/said"
    nothing_but_the_label
    base_config
    run_expect 0 pgcask backup
}

test_a_server_that_is_shut_down_leaves_no_backup()
{
    local pid

    scene shutdown
    slow_config
    in_the_middle
    sql postgres -c 'SELECT pg_terminate_backend(pid) FROM pg_stat_progress_basebackup' >"$dir/terminated"
    ended "$pid"
    equal "$code" 1 'exit code'
    grep -q 'terminating connection due to administrator command' "$dir/said"
    nothing_but_the_label
}

test_it_stops_at_once_when_asked_to()
{
    local pid

    scene stopped
    slow_config
    in_the_middle
    kill -TERM "$pid"
    ended "$pid"
    equal "$code" 1 'exit code'
    grep -q 'stopped by a signal' "$dir/said"
    nothing_but_the_label
    wait_until 20 server_is_free
}

test_it_can_be_stopped_while_the_server_makes_its_checkpoint()
{
    local pid

    scene checkpoint
    base_config "checkpoint = spread"
    sql postgres -c "ALTER SYSTEM SET checkpoint_timeout = '1h'" -c 'SELECT pg_reload_conf()' >"$dir/reloaded"
    cleanup_fn sql postgres -c 'ALTER SYSTEM RESET checkpoint_timeout' -c 'SELECT pg_reload_conf()' -o "$dir/reset"
    sql shop -c "UPDATE stock SET label = label || 'x'" # there must be something to write
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 waits_for_checkpoint
    kill -TERM "$pid"
    ended "$pid"
    equal "$code" 1 'exit code'
    grep -q 'stopped by a signal' "$dir/said"
    nothing_but_the_label
    sql postgres -c CHECKPOINT
    wait_until 20 server_is_free
}

waits_for_checkpoint()
{
    [ "$(sql postgres -c "SELECT phase FROM pg_stat_progress_basebackup")" = 'waiting for checkpoint to finish' ]
}

test_included_wal_survives_a_busy_server()
{
    scene busy
    slow_config
    in_the_middle
    for _ in 1 2 3 4; do # far more WAL than the server keeps by itself
        sql shop -c 'CREATE TABLE scrap AS SELECT g, md5(g::text) FROM generate_series(1, 60000) g' -c 'SELECT pg_switch_wal()' \
            -c CHECKPOINT -c 'DROP TABLE scrap' >"$dir/written"
    done
    ended "$pid"
    equal "$code" 0 "exit code, $(cat "$dir/said")"
    unpack "$tmp/busy-copy"
    adopt "$tmp/busy-copy"
    wake "$tmp/busy-copy"
    run_expect 0 pgcask verify --deep latest
}

# ---- a standby ----

# make_standby - in $standby, from the newest backup; $dir/standby.ini reads from it
make_standby()
{
    standby=$tmp/standby
    base_config
    run_expect 0 pgcask backup
    unpack "$standby"
    adopt "$standby"
    touch "$standby/data/standby.signal"
    echo "primary_conninfo = 'host=$PGHOST port=$PGPORT user=postgres'" >>"$standby/data/postgresql.conf"
    [ "$(id -u)" != 0 ] || chown --reference="$main_base/data" "$standby/data/standby.signal"
    PG_BASE=$standby "$pg" start
}

from_standby()
{
    sed -i "s|^conninfo = .*|conninfo = host=$standby/sock port=$(cat "$standby/port") user=postgres|" "$dir/pgcask.ini"
}

caught_up()
{
    [ "$(sql_of "$standby" postgres -c "SELECT pg_last_wal_replay_lsn() >= '$1'")" = t ]
}

test_a_standby_can_be_read_and_promoted_in_the_middle()
{
    local pid place=$tmp/of-standby

    scene from-standby
    make_standby
    from_standby
    sql shop -c "INSERT INTO stock VALUES (-1, 'seen by the standby')" -c CHECKPOINT
    wait_until 60 caught_up "$(sql postgres -c 'SELECT pg_current_wal_lsn()')"
    next_second
    run_expect 0 pgcask backup
    manifest_says '.base.standby' true
    run_expect 0 pgcask show latest
    expect_out 'read from a standby'
    contents >"$dir/before"
    unpack "$place"
    adopt "$place"
    wake "$place"
    contents "$place" >"$dir/after"
    same "$dir/before" "$dir/after"

    # the WAL of the primary does not come by itself
    base_config "wal = archive" "wal_timeout = 1s"
    from_standby
    run_expect 1 pgcask backup
    expect_err 'SELECT pg_switch_wal() on the primary'
    base_config "wal = archive"
    from_standby
    rm -f "$spool"/*
    next_second
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 grep -q 'waiting for the WAL from' "$dir/said"
    while is_running "$pid"; do
        sql postgres -c 'SELECT pg_switch_wal()' >"$dir/switched"
        push_spool
        sleep 0.3
    done
    ended "$pid"
    equal "$code" 0 "exit code, $(cat "$dir/said")"

    slow_config
    from_standby
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 streams_from_standby
    sql_of "$standby" postgres -c 'SELECT pg_promote()' >"$dir/promoted"
    ended "$pid"
    equal "$code" 1 'exit code'
    grep -q 'promoted' "$dir/said"
    equal "$(rubbish)" '' 'rubbish'
}

streams_from_standby()
{
    [ "$(sql_of "$standby" postgres -c "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000")" = 1 ]
}

start_archiving_postgres
load_shop
run_tests "$@"
