#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# WAL by streaming: nothing is lost and nothing is skipped, whoever is killed, and whatever does not work for a while.

# shellcheck source=scene-receive.sh
. "$(dirname "$0")/scene-receive.sh"

# restarted_server - the common one, without slots and rows of the tests before
restarted_server()
{
    at_server main
    "$pg" start
    sql postgres -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots" >/dev/null
    sql postgres -c 'DROP TABLE IF EXISTS filler, ledger' -c 'CREATE TABLE filler (n int, t text)' \
        -c 'CREATE TABLE ledger (n int)' 2>/dev/null
}

test_a_slot_is_made_and_dropped()
{
    restarted_server
    scene slot
    receive_config
    receive_fails 1
    expect_err "ERROR: there is no replication slot 'pgcask' on the server"
    expect_err "HINT: 'pgcask wal receive --create-slot' makes it"
    run_expect 0 pgcask wal receive --create-slot
    expect_out "slot 'pgcask' is made"
    equal "$(sql postgres -c "SELECT slot_type, restart_lsn IS NOT NULL FROM pg_replication_slots")" "physical|t" slot
    run_expect 0 pgcask wal receive --create-slot
    expect_out "slot 'pgcask' is there already"
    run_expect 0 pgcask wal receive --drop-slot
    run_expect 1 pgcask wal receive --drop-slot
    expect_err "ERROR: there is no replication slot 'pgcask'"
    sql postgres -c "SELECT pg_create_physical_replication_slot('pgcask')" >/dev/null
    run_expect 0 pgcask wal receive --drop-slot
    run_expect 2 pgcask wal receive --drop-slot --create-slot
    run_expect 2 pgcask wal receive one
    receive_config "slot = Slot-1"
    receive_fails 2
    expect_err "ERROR: 'Slot-1' is no name for a replication slot"
    receive_config
    sed -i '/^slot/d' "$dir/pgcask.ini"
    run_expect 2 pgcask wal receive --create-slot
    expect_err "HINT: write slot = NAME into [cluster main]"
}

test_what_is_received_is_what_the_server_wrote()
{
    restarted_server
    scene plain
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    log_has "there is no WAL of the server with the system identifier"
    receive_fails 4
    expect_err "ERROR: another run of 'wal receive' for cluster 'main' is under way (pid $receiver)"
    load 2
    sql postgres -c "INSERT INTO ledger VALUES (1)"
    all_is_stored
    archive_is_right 2
    equal "$(archived_count '*.partial-*')" 1 "number of partials"
    sql postgres -c "INSERT INTO ledger VALUES (1)"
    end_receive
    archive_is_right 2
    equal "$(archived_count '*.partial-*')" 1 "number of partials"
    nothing_waits
    begin_receive
    log_has "where the spool ends"
    load 1
    all_is_stored
    end_receive
    archive_is_right 3
}

test_without_a_spool_it_goes_on_where_the_archive_ends()
{
    restarted_server
    scene no_spool
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    load 1
    all_is_stored
    end_receive
    load 1
    rm -rf "$dir/state/receive-main"
    begin_receive
    log_has "where the archive ends"
    load 1
    all_is_stored
    end_receive
    archive_is_right 3
}

test_no_partial_unless_streaming_ends()
{
    restarted_server
    scene no_partial
    receive_config "partial_interval = 0"
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    load 2
    sql postgres -c "INSERT INTO ledger VALUES (1)"
    sleep 1
    equal "$(archived_count '*.partial-*')" 0 "number of partials"
    end_receive
    equal "$(archived_count '*.partial-*')" 1 "number of partials"
    archive_is_right 2
}

test_killed_at_moments_of_a_load()
{
    local turn loader

    restarted_server
    scene killed
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    load 12 &
    loader=$!
    cleanup_fn stop_pid "$loader"
    for ((turn = 0; turn < 14; turn++)); do
        pgcask wal receive -v >>"$dir/log" 2>&1 &
        receiver=$!
        sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
        is_running "$receiver" || fail "the receiver ended by itself: $(tail -n 5 "$dir/log")"
        kill_receive
    done
    wait "$loader" || :
    begin_receive
    all_is_stored
    end_receive
    archive_is_right 5
    never grep -q '^ERROR' "$dir/log"
}

test_postgresql_is_killed_and_comes_back()
{
    local turn

    restarted_server
    scene crash
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    for turn in 1 2 3; do
        load 1
        "$pg" crash
        sleep "0.$((RANDOM % 10))"
        "$pg" start
        wait_until 60 streams
    done
    load 1
    all_is_stored
    end_receive
    archive_is_right 4
}

test_postgresql_shuts_down_and_comes_back()
{
    restarted_server
    scene shutdown
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    load 1
    "$pg" stop
    wait_until 60 log_has "the server shut down"
    "$pg" start
    wait_until 60 streams
    load 1
    all_is_stored
    end_receive
    archive_is_right 2
}

# store_away - nothing of the cluster can be made or listed there; store_back - it can
store_away()
{
    mv "$dir/one/main" "$dir/one/gone"
    touch "$dir/one/main"
}

store_back()
{
    rm "$dir/one/main"
    mv "$dir/one/gone" "$dir/one/main"
}

test_a_store_that_is_away_is_waited_for()
{
    local before lsn

    restarted_server
    scene away
    receive_config "spool_max = 64MiB"
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    store_away
    before=$(sql postgres -c "SELECT pg_current_wal_lsn()")
    sql postgres -c 'INSERT INTO ledger VALUES (1)'
    load 6
    wait_until 60 log_has "the spool is full"
    lsn=$(sql postgres -c "SELECT restart_lsn <= '$before' FROM pg_replication_slots")
    equal "$lsn" t "what the slot keeps"
    [ "$(du -sm "$dir/state/receive-main" | cut -f 1)" -le 81 ] || fail "the spool holds more than it may"
    "$pg" stop # is not held up
    "$pg" start
    store_back
    wait_until 60 log_has "the stores take WAL again"
    wait_until 60 streams
    all_is_stored
    end_receive
    archive_is_right 5
}

test_an_optional_store_only_warns()
{
    restarted_server
    scene optional
    configure <<END
$(pgcask_section)
$(receive_section)
$(store_section one)
$(store_section two "required = no" "create = no")
END
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    load 1
    all_is_stored
    end_receive
    log_has "store 'two'"
    archive_is_right 1
}

test_the_server_shuts_down_while_no_store_takes_anything()
{
    restarted_server
    scene stuck
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    store_away
    load 1
    "$pg" stop
    wait_until 20 log_has "is not kept waiting any longer"
    end_receive 3
    log_has "stay in the spool, for the next start"
    store_back
    pgcask wal receive -v >>"$dir/log" 2>&1 & # without a server: what is in the spool gets into the store
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 nothing_waits
    end_receive
    "$pg" start
    begin_receive
    all_is_stored
    end_receive
    archive_is_right 1
}

test_a_disk_that_is_full_is_waited_for()
{
    restarted_server
    scene full
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    (ulimit -f 6000 && exec pgcask wal receive -v) >>"$dir/log" 2>&1 & # no file gets larger than that
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    sql postgres -c "INSERT INTO filler SELECT n, md5(n::text) FROM generate_series(1, 150000) n"
    wait_until 60 log_has "File too large, next try in"
    is_running "$receiver"
    kill_receive
    begin_receive
    sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
    all_is_stored
    end_receive
    archive_is_right 1
}

test_what_is_not_whole_is_fetched_in_its_place()
{
    local file system size

    restarted_server
    scene fetch
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    sql postgres -c 'INSERT INTO ledger VALUES (1)'
    all_is_stored
    end_receive
    file=$(archived '*.partial-*')
    system=$(basename "$(echo "$dir"/one/main/wal/*)")
    run_expect 0 pgcask wal fetch "${file%.partial}" "$dir/fetched" --system-identifier "$system" --no-ahead
    equal "$(stat -c %s "$dir/fetched")" 16777216 "size of the segment"
    size=$(stat -c %s "$dir/state/receive-main/$system/$file")
    cmp -n "$size" "$dir/fetched" "$(written "${file%.partial}")"
    equal "$(tail -c +$((size + 1)) "$dir/fetched" | tr -d '\0' | wc -c)" 0 "bytes behind what was received"
}

test_other_bytes_under_an_archived_name_are_refused()
{
    local file spool

    restarted_server
    scene other
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    load 1
    all_is_stored
    end_receive
    file=$(archived '*' | head -n 1)
    spool=$(echo "$dir"/state/receive-main/[0-9]*)
    cp "$(written "$file")" "$spool/$file"
    pgcask wal receive -v >>"$dir/log" 2>&1 & # the same once more is fine
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 nothing_waits
    end_receive
    cp "$(written "$file")" "$spool/$file"
    flip "$spool/$file" 100000
    receive_fails 1
    expect_err "ERROR: store 'one' has another '$file' already"
    [ -e "$spool/$file" ]
    archive_is_right 1
}

# listener - a service manager: what it hears is in $dir/heard
listener()
{
    exec python3 - "$dir/notify" "$dir/heard" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], 'w') as heard:
    while True:
        heard.write(s.recv(4096).decode() + '\n')
        heard.flush()
END
}

heard()
{
    grep -q "^$1" "$dir/heard"
}

test_a_service_manager_is_told()
{
    restarted_server
    scene notify
    receive_config
    run_expect 0 pgcask wal receive --create-slot
    start_bg listener
    wait_until 30 test -S "$dir/notify"
    "$pg" stop
    NOTIFY_SOCKET=$dir/notify pgcask wal receive -v >>"$dir/log" 2>&1 &
    receiver=$!
    cleanup_fn stop_pid "$receiver"
    wait_until 60 heard "STATUS=could not connect"
    never heard READY=1
    "$pg" start
    wait_until 60 heard READY=1
    wait_until 60 heard "STATUS=timeline 1: received up to"
    end_receive
    heard STOPPING=1
}

test_one_required_store_of_two_does_not_take_anything()
{
    restarted_server
    scene two
    configure <<END
$(pgcask_section)
$(receive_section)
$(store_section one)
$(store_section two)
END
    run_expect 0 pgcask wal receive --create-slot
    begin_receive
    all_is_stored
    store_away
    load 1
    sql postgres -c 'INSERT INTO ledger VALUES (1)'
    wait_until 60 log_has "it stays in the spool; next try in"
    never stored "$(sql postgres -c 'SELECT pg_current_wal_flush_lsn()')"
    store_back
    all_is_stored
    end_receive
    archive_is_right 1
    diff <(cd "$dir/one/main" && find wal -type f | sort) <(cd "$dir/two/main" && find wal -type f | sort)
}

new_server main
run_tests "$@"
