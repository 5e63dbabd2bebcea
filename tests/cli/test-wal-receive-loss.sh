#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# WAL by streaming when something is really lost: the server, its slot, its timeline, this host's disk. What was
# acknowledged is in the archive, and a gap is never passed over in silence.

# shellcheck source=scene-receive.sh
. "$(dirname "$0")/scene-receive.sh"

# tables - what the loads write to
tables()
{
    sql postgres -c 'CREATE TABLE filler (n int, t text)' -c 'CREATE TABLE ledger (n int)'
}

# waits - commits wait for the receiver
waits()
{
    [ "$(sql postgres -c "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'vault'")" = sync ]
}

# disaster SYNCHRONOUS - receiver and server are killed under load; the server's disk is gone
disaster()
{
    local loader

    new_server "$1" "synchronous_commit = on"
    scene "$1"
    tables
    receive_config "application_name = vault" "synchronous = $1" "partial_interval = 50ms"
    run_expect 0 pgcask wal receive --create-slot
    pgcask wal receive -v >>"$dir/log" 2>&1 &
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 streams vault
    base_backup "$tmp/base-$1" -X none --no-slot
    sql postgres -c "ALTER SYSTEM SET synchronous_standby_names = 'vault'" -c 'SELECT pg_reload_conf()' >/dev/null
    wait_until 30 waits
    ledger_load "$dir/ledger" &
    loader=$!
    cleanup_fn stop_pid "$loader"
    sleep "3.$((RANDOM % 10))"
    kill_receive
    "$pg" crash
    touch "$dir/enough"
    wait "$loader"
    rm -rf "$PG_BASE/data"
    [ "$(wc -l <"$dir/ledger")" -gt 20 ] || fail "only $(wc -l <"$dir/ledger") commits were acknowledged"
}

# nothing_is_missing - the recovered server has all that was acknowledged
nothing_is_missing()
{
    local missing

    sql postgres -c 'SELECT n FROM ledger' | sort >"$dir/there"
    missing=$(sort "$dir/ledger" | comm -23 - "$dir/there")
    equal "$missing" "" "acknowledged, but not there"
    echo "    $(wc -l <"$dir/ledger") acknowledged, $(wc -l <"$dir/there") there"
}

test_what_was_acknowledged_in_the_spool_is_in_the_archive()
{
    disaster spool
    pgcask wal receive -v >>"$dir/log" 2>&1 & # there is no server any more
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 log_has "could not connect to PostgreSQL"
    end_receive
    recovered after-spool "$tmp/base-spool"
    nothing_is_missing
}

test_what_was_acknowledged_in_the_stores_needs_no_spool()
{
    disaster stores
    rm -rf "$dir/state"
    recovered after-stores "$tmp/base-stores"
    nothing_is_missing
}

test_a_commit_waits_for_the_receiver()
{
    new_server waits
    scene waits
    tables
    receive_config "application_name = vault" "synchronous = spool"
    run_expect 0 pgcask wal receive --create-slot
    sql postgres -c "ALTER SYSTEM SET synchronous_standby_names = 'vault'" -c 'SELECT pg_reload_conf()' >/dev/null
    sql postgres -c 'INSERT INTO ledger VALUES (1)' >"$dir/said" 2>&1 &
    start_bg wait_until 60 test -e "$dir/never"
    wait_until 60 sync_waits
    pgcask wal receive -v >>"$dir/log" 2>&1 &
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 waits
    wait %1
    never sync_waits
    end_receive
}

sync_waits()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" = 1 ]
}

test_a_standby_is_promoted_while_it_is_received_from()
{
    new_server first
    scene cascade
    tables
    new_standby second
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    at_server first
    load 1
    "$pg" stop
    at_server second
    server_bin pg_ctl -D "$PG_BASE/data" -w promote >/dev/null
    load 1
    all_is_stored
    log_has "timeline 2 follows"
    end_receive
    equal "$(archived '*.history-*')" 00000002.history "histories"
    [ "$(archived_count '00000002*')" -gt 2 ]
    archive_is_right 3
    begin_receive
    load 1
    all_is_stored
    end_receive
    archive_is_right 4
    ! log_has ERROR
}

test_the_other_server_takes_over()
{
    new_server third
    scene failover
    tables
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    new_standby fourth
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    at_server third
    load 1
    sql postgres -c 'INSERT INTO ledger VALUES (1)'
    all_is_stored
    "$pg" crash
    at_server fourth
    server_bin pg_ctl -D "$PG_BASE/data" -w promote >/dev/null
    load 1
    end_receive
    receive_config
    begin_receive
    load 1
    all_is_stored
    end_receive
    equal "$(archived '*.history-*')" 00000002.history "histories"
    archive_is_right 4
}

test_a_standby_that_is_behind_is_waited_for()
{
    local upstream

    new_server fifth
    scene behind
    tables
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    new_standby sixth
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    upstream=$(sql postgres -c 'SHOW primary_conninfo')
    sql postgres -c "ALTER SYSTEM SET primary_conninfo = ''" -c 'SELECT pg_reload_conf()' >/dev/null
    at_server fifth
    wait_until 60 nobody_streams_but_us
    load 1
    all_is_stored
    end_receive
    at_server sixth
    start_bg pgcask wal receive -v >>"$dir/log" 2>&1
    wait_until 60 log_has "is the standby behind?"
    is_running "$bg_pid"
    sql postgres -c "ALTER SYSTEM SET primary_conninfo = '${upstream//\'/\'\'}'" -c 'SELECT pg_reload_conf()' >/dev/null
    wait_until 60 streams
    stop_pid "$bg_pid"
    at_server fifth
    archive_is_right 1
}

nobody_streams_but_us()
{
    [ "$(sql postgres -c 'SELECT count(*) FROM pg_stat_replication')" = 1 ]
}

test_a_lost_slot_is_a_gap()
{
    local turn

    new_server small "wal_keep_size = 0" "max_slot_wal_keep_size = 32MB" "min_wal_size = 32MB" "max_wal_size = 64MB"
    scene lost
    tables
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    end_receive
    for turn in 1 2 3 4 5 6; do
        sql postgres -c 'INSERT INTO filler VALUES (1)' -c 'SELECT pg_switch_wal()' -c CHECKPOINT >/dev/null
    done
    receive_fails 1
    expect_err "ERROR: there is a gap in the WAL: from 0/"
    expect_err "the server has given up the replication slot"
    expect_err "HINT: 'pgcask wal receive --drop-slot', then '--create-slot'"
    run_expect 1 pgcask wal receive --create-slot
    expect_err "but the server has given it up"
    run_expect 0 pgcask wal receive --drop-slot
    run_expect 0 pgcask wal receive --create-slot
    receive_fails 1
    expect_err "ERROR: there is a gap in the WAL: from 0/"
    expect_err "has already been removed"
    expect_err "take a new base backup"
    rm -rf "$dir/state/receive-main" # the archive says the same
    receive_fails 1
    expect_err "ERROR: there is a gap in the WAL: from 0/"
    begin_receive --accept-gap
    log_has "which is accepted"
    all_is_stored
    end_receive
    begin_receive
    all_is_stored
    end_receive
}

test_without_a_slot_it_goes_on_as_long_as_it_can()
{
    new_server slotless "wal_keep_size = 0" "min_wal_size = 32MB" "max_wal_size = 64MB"
    scene slotless
    tables
    receive_config
    sed -i '/^slot/d' "$dir/pgcask.ini"
    begin_receive
    log_has "names no replication slot"
    sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
    end_receive
    begin_receive
    end_receive
    sql postgres -c 'INSERT INTO filler VALUES (1)' -c 'SELECT pg_switch_wal()' >/dev/null
    for turn in 1 2 3 4 5 6; do
        sql postgres -c 'INSERT INTO filler VALUES (1)' -c 'SELECT pg_switch_wal()' -c CHECKPOINT >/dev/null
    done
    receive_fails 1
    expect_err "ERROR: there is a gap in the WAL"
}

test_what_others_have_archived_is_no_gap()
{
    local turn file

    new_server helped "wal_keep_size = 0" "min_wal_size = 32MB" "max_wal_size = 64MB"
    scene helped
    tables
    receive_config
    sed -i '/^slot/d' "$dir/pgcask.ini"
    begin_receive
    sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
    sleep 1
    end_receive
    for turn in 1 2 3 4 5 6; do
        sql postgres -c 'INSERT INTO filler VALUES (1)'
        file=$(sql postgres -c 'SELECT pg_walfile_name(pg_current_wal_lsn())')
        sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
        run_expect 0 pgcask wal push "$PG_BASE/data/pg_wal/$file"
        sql postgres -c CHECKPOINT
    done
    begin_receive
    log_has "it is archived by now up to"
    wait_until 60 all_is_flushed
    end_receive
}

# all_is_flushed - as the statistics tell, without a slot
all_is_flushed()
{
    [ "$(sql postgres -c 'SELECT flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication')" = t ]
}

test_a_server_that_was_set_back_is_refused()
{
    new_server back
    scene back
    tables
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    "$pg" stop
    cp -a "$PG_BASE/data" "$tmp/before"
    "$pg" start
    wait_until 60 streams
    sql postgres -c "INSERT INTO filler SELECT n, md5(n::text) FROM generate_series(1, 5000) n"
    all_is_stored
    end_receive
    "$pg" stop
    rm -rf "$PG_BASE/data"
    mv "$tmp/before" "$PG_BASE/data"
    "$pg" start
    receive_fails 1
    expect_err "it was set back to an earlier state"
    sql postgres -c "INSERT INTO filler SELECT n, 'x' || md5(n::text) FROM generate_series(1, 20000) n"
    receive_fails 1
    expect_err "is not what it was when it was received before"
}

test_another_server_at_the_same_address_is_refused()
{
    new_server one-of-two
    new_server other-of-two
    at_server one-of-two
    scene twins
    receive_config "conninfo = host=$dir/sock port=$PGPORT user=postgres dbname=postgres"
    mkdir "$dir/sock"
    ln -s "$PGHOST/.s.PGSQL.$PGPORT" "$dir/sock/.s.PGSQL.$PGPORT"
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    old=$PGPORT
    "$pg" stop
    at_server other-of-two
    ln -sfn "$PGHOST/.s.PGSQL.$PGPORT" "$dir/sock/.s.PGSQL.$old"
    wait_gone 60 "$receiver"
    ended "$receiver"
    equal "$code" 1 "exit code of the receiver"
    log_has "ERROR: this is another server: its system identifier is "
}

run_tests "$@"
