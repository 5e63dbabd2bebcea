#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Any second of the past: a server with a ledger of its transactions, a table dropped at a noted moment, and copies
# recovered to right before it by each kind of target; what cannot be reached is refused before a byte is written.

# shellcheck source=scene-pitr.sh
. "$(dirname "$0")/scene-pitr.sh"

# The past that the tests go back to.
make_history()
{
    scene_pitr main
    sql postgres -c 'CREATE TABLE ledger (n int PRIMARY KEY)'
    load 20
    run_expect 0 on_server backup base
    first_id=$(on_server list --json | jq -r 'last.id')
    load 80
    later_second
    time_at_100=$(time_now)
    archive_now
    later_second
    load 100
    lsn_before_200=$(lsn_now)
    archive_now
    sql postgres -c "SELECT pg_create_restore_point('before the accident')" >/dev/null
    lsn_at_200=$(lsn_now)
    xid_of_drop=$(sql postgres -c 'BEGIN' -c 'DROP TABLE ledger' -c 'SELECT pg_current_xact_id()' -c 'COMMIT')
    sql postgres -c 'CREATE TABLE ledger (n int PRIMARY KEY)'
    load 30
    archive_now
}

# nothing_written NAME - refused in time
nothing_written()
{
    [ ! -e "$(copy_data "$1")" ] || fail "'$(copy_data "$1")' was made"
}

test_by_time()
{
    restore_copy time --target-time "$time_at_100"
    expect_silent_err
    verify_files time
    wake_copy time
    copy_rows time 100
    copy_state time in_recovery
    copy_sql time -c 'SELECT pg_wal_replay_resume()' >/dev/null
    wait_until 30 copy_is_promoted time
    copy_rows time 100
}

copy_is_promoted()
{
    [ "$(copy_sql "$1" -c 'SELECT pg_is_in_recovery()')" = f ]
}

expect_silent_err()
{
    [ ! -s "$tmp/err" ] || { lib_show; fail "there is talk"; }
}

test_by_lsn()
{
    restore_copy lsn --target-lsn "$lsn_at_200" --exclusive
    expect_silent_err
    wake_copy lsn
    copy_rows lsn 200
}

test_by_transaction()
{
    restore_copy xid --target-xid "$xid_of_drop" --exclusive --target-action promote
    expect_err "transaction $xid_of_drop has to lie behind the end of backup '$first_id'"
    wake_copy xid
    copy_state xid promoted
    copy_rows xid 200
}

test_by_name()
{
    id=$first_id restore_copy name --target-name 'before the accident'
    expect_silent_err
    wake_copy name
    copy_rows name 200
}

test_as_soon_as_it_is_consistent()
{
    restore_copy immediate --target immediate
    wake_copy immediate
    copy_rows immediate 20
    copy_state immediate in_recovery
}

test_to_the_end()
{
    restore_copy end
    wake_copy end
    copy_rows end 30
    copy_state end promoted
}

test_a_shutdown_at_the_target()
{
    restore_copy shutdown --target-lsn "$lsn_at_200" --exclusive --target-action shutdown
    grep -qx "recovery_target_action = 'shutdown'" "$(copy_data shutdown)/postgresql.auto.conf"
}

# ---- what cannot be reached ----

test_behind_the_end()
{
    run_expect 2 on_server restore latest --data-dir "$(copy_data no)" --target-time "$(date -u -d '+1 day' '+%F %T+00')"
    expect_err "lies behind the end of what is archived: the newest WAL came in at "
    expect_err "HINT: what can be restored: timeline 1 from "
    run_expect 2 on_server restore latest --data-dir "$(copy_data no)" --target-lsn FF/0
    expect_err "LSN FF/0 lies behind the end of what is archived"
    nothing_written no
}

test_before_the_beginning()
{
    run_expect 2 on_server restore latest --data-dir "$(copy_data no)" --target-time "2001-02-03 04:05:06Z"
    expect_err "time 2001-02-03 04:05:06+00 lies before backup '$first_id' was finished"
    expect_err "HINT: what can be restored: timeline 1 from "
    run_expect 2 on_server restore "$first_id" --data-dir "$(copy_data no)" --target-lsn 0/1000000
    expect_err "LSN 0/1000000 lies before backup '$first_id' is consistent"
    nothing_written no
}

# without_segment SEGMENT - another store, the same but for that file; $without is the config
without_segment()
{
    rm -rf "$dir/holey"
    cp -a "$dir/one" "$dir/holey"
    find "$dir/holey" -name "$1-*" -delete
    without=$dir/holey.ini
    sed "s|^path = .*|path = $dir/holey|" "$dir/pgcask.ini" >"$without"
    chown --reference="$dir/pgcask.ini" "$without"
    chmod 600 "$without"
}

test_a_gap_is_refused()
{
    local segment

    segment=$(sql postgres -c "SELECT pg_walfile_name('$lsn_before_200')")
    without_segment "$segment"
    run_expect 2 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data no)"
    expect_err "the end of the WAL is not reached: WAL segment '$segment' is missing, so the chain ends at "
    expect_err "HINT: what can be restored: timeline 1 from "
    run_expect 2 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data no)" \
        --target-lsn "$lsn_at_200"
    expect_err "WAL segment '$segment' is missing"
    nothing_written no
    new_place no
    run_expect 0 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data no)" \
        --target immediate
    rm -rf "$tmp/copy-no"
}

test_no_wal_for_consistency()
{
    local segment

    segment=$(sql postgres -c "SELECT pg_walfile_name('$(on_server show "$first_id" --json | jq -r '.base.start_lsn // .start_lsn')')")
    without_segment "$segment"
    run_expect 2 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data no)" --target immediate
    expect_err "the point where it is consistent is not reached: WAL segment '$segment' is missing"
    nothing_written no
}

# ---- command line and places ----

test_options_that_do_not_fit()
{
    run_expect 2 on_server restore latest --target-xid 1000
    expect_err "--target-xid needs --data-dir"
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --into other
    expect_err "--into does not go with --data-dir"
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --target-xid 1000 --target-name here
    expect_err "--target-xid and --target-name: one target only"
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --target-time "2026-11-22 10:00:00"
    expect_err "ERROR: --target-time: the time '2026-11-22 10:00:00' has no zone"
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --standby --target immediate
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --exclusive
    run_expect 2 on_server restore latest --data-dir "$tmp/x" --tablespace 4711=/srv/x
    expect_err "the mapping '4711=/srv/x' is about no tablespace of this backup"
    run_expect 2 on_server restore latest
    expect_err "HINT: "
    [ ! -e "$tmp/x" ]
}

test_directories_in_use()
{
    new_place used
    mkdir "$(copy_data used)"
    touch "$(copy_data used)/mine"
    chown -R --reference="$main_base/data" "$(copy_data used)"
    run_expect 2 on_server restore latest --data-dir "$(copy_data used)"
    expect_err "'$(copy_data used)' is not empty, and no data directory"
    run_expect 2 on_server restore latest --data-dir "$(copy_data used)" --delta
    expect_err "'$(copy_data used)' is not empty, and no data directory"
    run_expect 2 on_server restore latest --data-dir "$main_base/data"
    expect_err "'$main_base/data' is a data directory already"
    run_expect 2 on_server restore latest --data-dir "$main_base/data" --delta
    expect_err "a server runs in '$main_base/data'"
    equal "$(ls -A "$(copy_data used)")" mine
}

# ---- faults ----

unfinished() # NAME
{
    [ -e "$(copy_data "$1")/pgcask.incomplete" ] && [ ! -e "$(copy_data "$1")/global/pg_control" ]
}

test_killed_in_the_middle()
{
    local turn

    new_place killed
    for turn in 1 2 3 4 5 6; do
        rm -rf "$(copy_data killed)"
        start_bg "${as_server[@]}" "$tmp/bin/pgcask" --config "$dir/pgcask.ini" restore latest --data-dir "$(copy_data killed)"
        # shellcheck disable=SC2016 # that shell's own parameters
        wait_until 20 sh -c '[ "$(find "$1" -type f | wc -l)" -ge "$2" ]' sh "$(copy_data killed)" $((turn * 80))
        kill -KILL "$bg_pid" 2>/dev/null || :
        wait "$bg_pid" 2>/dev/null || :
        ! unfinished killed || break
    done
    unfinished killed || skip "it was always faster"
    run_expect 2 as_server "$server_bin/postgres" -D "$(copy_data killed)" -k "$tmp/copy-killed/sock"
    run_expect 2 on_server restore latest --data-dir "$(copy_data killed)"
    expect_err "holds a restore that was not finished"
    expect_err "HINT: --delta goes on with it; or remove it"
    restore_copy killed --delta
    verify_files killed
    never unfinished killed
    wake_copy killed
    copy_rows killed 30
}

# altered STORE - a byte in the middle of the tar there
altered()
{
    local file

    file=$(find "$dir/$1" -name 'base.tar.*')
    printf 'X' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc status=none
}

test_altered_objects()
{
    without_segment none
    altered holey
    new_place altered
    run_expect 1 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data altered)"
    expect_err "member 'base.tar'"
    expect_err "is incomplete: the same command with --delta goes on with it"
    unfinished altered
    cat >>"$without" <<END
$(store_section good "path = $dir/one")
END
    run_expect 0 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data altered)" --delta
    expect_err "store 'one'"
    verify_files altered
    rm -rf "$(copy_data altered)"
    run_expect 0 as_server "$tmp/bin/pgcask" --config "$without" restore latest --data-dir "$(copy_data altered)"
    verify_files altered
}

# in_tmpfs OPTIONS SCRIPT - with that file system at $tmp/small, gone afterwards
in_tmpfs()
{
    mkdir -p "$tmp/small"
    # shellcheck disable=SC2016 # that shell's own parameters
    unshare --mount sh -c 'mount -t tmpfs -o "$1" none "$2" && chown --reference="$3" "$2" && cd "$2" && eval "$4"' sh \
        "$1" "$tmp/small" "$main_base/data" "$2"
}

test_a_full_disk()
{
    local restore

    [ "$(id -u)" = 0 ] || return 0 # the run as root comes here
    restore="$(printf '%q ' "${as_server[@]}" "$tmp/bin/pgcask" --config "$dir/pgcask.ini")"
    restore+="restore latest --data-dir '$tmp/small/data'"
    in_tmpfs size=1M true 2>/dev/null || skip "no file systems can be mounted here"
    run_expect 2 in_tmpfs size=8M "$restore"
    expect_err "'$tmp/small/data' has 8.0 MiB of room, the backup needs "
    run_expect 0 in_tmpfs size=200M,nr_inodes=400 \
        "$restore; [ \$? = 1 ] && [ -e data/pgcask.incomplete ] && [ ! -e data/global/pg_control ]"
    expect_err "No space left on device"
    expect_err "is incomplete: the same command with --delta goes on with it"
}

# ---- delta ----

test_delta()
{
    restore_copy delta --target immediate --target-action promote
    wake_copy delta
    copy_sql delta -c 'DELETE FROM ledger' -c 'CREATE TABLE mine AS SELECT generate_series(1, 1000)' -c CHECKPOINT
    run_expect 2 on_server restore latest --data-dir "$(copy_data delta)" --delta
    expect_err "a server runs in '$(copy_data delta)'"
    stop_copy delta
    as_server mkdir "$(copy_data delta)/base/4711"
    as_server touch "$(copy_data delta)/base/4711/stray" "$(copy_data delta)/stray"
    touch -d 2001-02-03 "$(copy_data delta)/base/1/1247"
    # another content of the same size and time
    as_server cp -p "$(copy_data delta)/base/1/2619" "$tmp/copy-delta/2619"
    printf 'X' | dd of="$(copy_data delta)/base/1/2619" bs=1 seek=5000 conv=notrunc status=none
    touch -r "$tmp/copy-delta/2619" "$(copy_data delta)/base/1/2619"
    run_expect 0 on_server -v restore latest --data-dir "$(copy_data delta)" --delta --target-lsn "$lsn_at_200" --exclusive
    expect_err " files are there already; "
    verify_files delta
    equal "$(date -r "$(copy_data delta)/base/1/1247" +%Y)" 2001 "time of a file that was equal"
    same "$tmp/copy-delta/2619" "$(copy_data delta)/base/1/2619"
    [ ! -e "$(copy_data delta)/stray" ] && [ ! -e "$(copy_data delta)/base/4711" ]
    echo "unix_socket_directories = '$tmp/copy-delta/sock'" >>"$(copy_data delta)/postgresql.conf"
    : >"$tmp/copy-delta/server.log"
    wake_copy delta
    copy_rows delta 200
}

test_delta_into_another_system()
{
    PG_BASE=$tmp/pg-other "$pg" start
    cleanup_fn env PG_BASE="$tmp/pg-other" "$pg" wipe
    PG_BASE=$tmp/pg-other "$pg" stop
    run_expect 2 on_server restore latest --data-dir "$tmp/pg-other/data" --delta
    expect_err "'$tmp/pg-other/data' belongs to the system "
    PG_BASE=$tmp/pg-other "$pg" start
}

# ---- life goes on ----

archived_count()
{
    find "$dir/one/main/wal" -type f | wc -l
}

test_nothing_of_a_copy_gets_into_the_archive()
{
    local before

    restore_copy quiet --target-lsn "$lsn_at_200" --exclusive --target-action promote
    before=$(archived_count)
    wake_copy quiet
    copy_sql quiet -c 'CREATE TABLE stranger (n int)' -c 'SELECT pg_switch_wal()' -c CHECKPOINT >/dev/null
    copy_sql quiet -c 'INSERT INTO stranger VALUES (1)' -c 'SELECT pg_switch_wal()' >/dev/null
    stop_copy quiet
    equal "$(archived_count)" "$before" "files of WAL in the archive"
    equal "$(copy_sql_settings quiet archive_mode)" "'off'"
}

copy_sql_settings()
{
    sed -n "s/^$2 = //p" "$(copy_data "$1")/postgresql.auto.conf"
}

test_a_standby_follows_the_archive()
{
    restore_copy standby --standby
    start_copy standby
    wait_until 30 copy_row_count standby 30
    load 5
    archive_now
    wait_until 60 copy_row_count standby 35
    copy_state standby in_recovery
}

copy_row_count() # NAME COUNT
{
    [ "$(copy_sql "$1" -c 'SELECT count(*) FROM ledger')" = "$2" ]
}

test_a_backup_with_its_own_wal()
{
    sed "s/^kind = base/&\nwal = include/; s|^path = .*|path = $dir/alone|; s|^state_dir.*|&.alone|" "$dir/pgcask.ini" >"$dir/alone.ini"
    chown --reference="$dir/pgcask.ini" "$dir/alone.ini"
    chmod 600 "$dir/alone.ini"
    run_expect 0 as_server "$tmp/bin/pgcask" --config "$dir/alone.ini" backup base
    new_place alone
    run_expect 0 as_server "$tmp/bin/pgcask" --config "$dir/alone.ini" restore latest --data-dir "$(copy_data alone)"
    expect_silent_err
    wake_copy alone
    copy_state alone promoted
    copy_row_count alone "$(sql postgres -c 'SELECT count(*) FROM ledger')"
    run_expect 2 as_server "$tmp/bin/pgcask" --config "$dir/alone.ini" restore latest --data-dir "$(copy_data no)" \
        --target-lsn FF/0
    nothing_written no
}

# The last one: another server becomes the original.
test_a_new_timeline_is_restored_in_turn()
{
    restore_copy heir --target-name 'before the accident' --target-action promote
    "$pg" stop
    wake_copy heir
    copy_rows heir 200
    copy_sql heir -c 'ALTER SYSTEM RESET archive_mode'
    stop_copy heir
    start_copy heir
    PGHOST=$tmp/copy-heir/sock
    PGPORT=$(cat "$tmp/copy-heir/port")
    load 50
    later_second
    time_at_250=$(time_now)
    archive_now
    later_second
    load 50
    archive_now
    stop_copy heir
    restore_copy grandchild --target-time "$time_at_250"
    grep -qx "recovery_target_timeline = '2'" "$(copy_data grandchild)/postgresql.auto.conf"
    wake_copy grandchild
    copy_rows grandchild 250
    restore_copy old --target-timeline 1
    wake_copy old
    never copy_row_count old 300
    run_expect 2 on_server restore latest --data-dir "$(copy_data no)" --target-timeline 7
    nothing_written no
}

start_archiving_postgres
make_history
run_tests
