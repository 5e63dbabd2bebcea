#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# kill -9 at many moments of a backup and of a restore, Ctrl-C, and two runs at once: what is
# visible is whole, and the next run works and leaves nothing lying about.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

now_ms()
{
    local now=$EPOCHREALTIME

    echo $((${now/[.,]/} / 1000))
}

sleep_ms()
{
    sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"
}

# rubbish - files that belong to no finished backup
rubbish()
{
    local object

    find "$dir/one/main/lease" -type f 2>/dev/null || :
    find "$dir/one" -name '.pgcask-*'
    find "$dir/one/main/backup" -mindepth 1 -type d | while read -r object; do
        [ -e "$object/manifest.json" ] || find "$object" -type f
    done
}

# visible_is_whole - each backup in the list is read to its last byte, and restored bytes are the database's
visible_is_whole()
{
    run_expect 0 pgcask list --json
    if [ "$(jq length "$tmp/out")" = 0 ]; then
        return 0
    fi
    run_expect 0 pgcask verify --all --deep
}

# next_run_sweeps - it works, says that a run died and nothing worse, and leaves no rubbish
next_run_sweeps()
{
    run_expect 0 pgcask backup
    never grep -v "^WARN: run '.*died: it never recorded its end$" "$tmp/err"
    equal "$(rubbish)" "" "rubbish"
}

# forget_backups - the store as it was before there were any
forget_backups()
{
    rm -rf "$dir/one/main" "$dir/state/cache"
}

bulk_config()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = bulk" "table_size = 512KiB" "settings_files = no")
END
}

test_killed_at_28_moments_of_a_backup()
{
    local begin total_ms i pid killed=0 finished=0

    scene moments
    bulk_config
    run_expect 0 pgcask backup
    forget_backups
    begin=$(now_ms)
    run_expect 0 pgcask backup
    total_ms=$(($(now_ms) - begin))
    for ((i = 0; killed < 28 && i < 100; i++)); do
        forget_backups
        pgcask backup >"$dir/out" 2>&1 &
        pid=$!
        sleep_ms $((total_ms * (i % 28) / 28)) # one moment of the run
        if kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        else
            total_ms=$((total_ms * 9 / 10)) # it was measured while the machine was busier
        fi
        ended "$pid" 2>/dev/null
        visible_is_whole
        [ "$(count_backups)" = 0 ] || finished=$((finished + 1))
        next_run_sweeps
        visible_is_whole
    done
    echo "    killed $killed times in $total_ms ms, $finished backups were complete by then"
    [ "$killed" = 28 ] || fail "only $killed of them were killed"
    [ "$finished" -lt "$i" ] || fail "none was killed before it was complete"
}

# small_config - one stream, so that each call of the system is always the same one
small_config()
{
    configure <<END
$(pgcask_section "jobs = 1")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = small" "globals = no" "settings_files = no")
END
}

# run_until_call CALL NUMBER - a backup, killed at that call; $code is 137, or 0 when there were fewer
run_until_call()
{
    code=0
    { # bash would tell of the killed process
        (traced -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" pgcask backup >"$dir/out" 2>&1)
    } 2>/dev/null || code=$?
    [ "$code" = 0 ] || [ "$code" = 137 ] || fail "exit code $code at $1 number $2: $(cat "$dir/out")"
}

# killed_at_each CALL LEAST - once at the first, once at the second … until a run comes through
killed_at_each()
{
    local n

    for ((n = 1; n < 100; n++)); do
        forget_backups
        run_until_call "$1" "$n"
        visible_is_whole
        [ "$code" != 0 ] || break
        next_run_sweeps
    done
    [ "$code" = 0 ]
    echo "    killed at each of $((n - 1)) calls of $1"
    [ "$n" -gt "$2" ] || fail "only $((n - 1)) calls"
}

test_killed_at_each_object_that_gets_its_name()
{
    traceable || skip "needs strace, and the right to trace"
    scene names
    small_config
    run_expect 0 pgcask backup
    killed_at_each linkat 4 # lease, two members, manifest
}

test_killed_at_each_sync()
{
    traceable || skip "needs strace, and the right to trace"
    scene syncs
    small_config
    run_expect 0 pgcask backup
    killed_at_each fsync 8
}

test_killed_at_each_removal_of_a_sweep()
{
    local n

    traceable || skip "needs strace, and the right to trace"
    scene sweep
    small_config
    run_expect 0 pgcask backup
    for ((n = 1; n < 100; n++)); do
        forget_backups
        mkdir -p "$dir/one/main/backup/20240101T000000Z-daily"
        for object in a b c; do
            echo "$object" >"$dir/one/main/backup/20240101T000000Z-daily/$object.zst"
            touch -d '2 days ago' "$dir/one/main/backup/20240101T000000Z-daily/$object.zst"
        done
        run_until_call unlinkat "$n"
        visible_is_whole
        [ "$code" != 0 ] || break
        next_run_sweeps
    done
    [ "$n" -gt 3 ] || fail "only $((n - 1)) removals"
}

nobody_connected()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")" = 0 ]
}

test_killed_at_moments_of_a_restore()
{
    local begin total_ms i pid seen=0

    scene restore
    bulk_config
    run_expect 0 pgcask backup
    begin=$(now_ms)
    run_expect 0 pgcask restore latest --into back
    total_ms=$(($(now_ms) - begin))
    for ((i = 0; i < 12; i++)); do
        dropdb --if-exists --force back 2>/dev/null
        pgcask restore latest --into back >"$dir/out" 2>&1 &
        pid=$!
        sleep_ms $((total_ms * i / 12))
        kill -KILL "$pid" 2>/dev/null || :
        ended "$pid" 2>/dev/null
        wait_until 60 nobody_connected # the server ends what the dead one has begun
        if [ "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname = 'back'")" = 1 ]; then
            run_expect 0 "$top/tests/compare-db.sh" bulk back
        fi
        for left in $(sql postgres -c "SELECT datname FROM pg_database WHERE datname ~ '^back\.restoring\.[0-9a-f]{8}$'"); do
            seen=$((seen + 1))
            dropdb --force "$left"
        done
        equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname NOT IN ('back', 'bulk', 'small')")" 3
    done
    [ "$seen" -gt 0 ]
    dropdb --if-exists --force back 2>/dev/null
    run_expect 0 pgcask restore latest --into back
    run_expect 0 "$top/tests/compare-db.sh" bulk back
    dropdb back
}

# gated_config - daily and weekly, both stop before pg_dump
gated_config()
{
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $(gate pg_dump)")
$(store_section one)
$(job_section daily "databases = small")
END
    configure "$dir/weekly.ini" <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section weekly "databases = small")
END
}

test_a_second_run_of_a_job_is_refused_with_4()
{
    scene two_runs
    gated_config
    start_bg pgcask backup
    wait_until 60 test -e "$dir/arrived"
    run_expect 4 pgcask backup
    expect_err "ERROR: another run of job 'daily' is under way (pid $bg_pid)"
    expect_err "HINT: wait for it, or end it; the lock '$dir/state/lock-main"
    touch "$dir/open"
    ended "$bg_pid"
    equal "$code" 0 "exit code of the first run"
    equal "$(count_backups)" 1
    run_expect 0 pgcask verify --deep
}

test_another_job_leaves_a_run_under_way_alone()
{
    scene two_jobs
    gated_config
    start_bg pgcask backup
    wait_until 60 test -e "$dir/arrived"
    run_expect 0 pgcask -c "$dir/weekly.ini" backup
    [ "$(find "$dir/one/main/lease" -type f | wc -l)" = 1 ]
    [ -n "$(find "$dir/one/main/backup" -path '*-daily/globals.sql*')" ]
    touch "$dir/open"
    ended "$bg_pid"
    equal "$code" 0 "exit code of the first run"
    equal "$(count_backups)" 2
    run_expect 0 pgcask verify --all --deep
    equal "$(rubbish)" ""
}

test_a_run_of_another_host_is_left_alone_for_a_week()
{
    scene other_host
    small_config
    run_expect 0 pgcask backup
    mkdir -p "$dir/one/main/backup/20240101T000000Z-other" "$dir/one/main/lease"
    echo x >"$dir/one/main/backup/20240101T000000Z-other/db.dump.zst"
    echo '{"backup": "20240101T000000Z-other", "host": "elsewhere", "boot": "b", "space": "s", "pid": 1, "start": "1"}' \
        >"$dir/one/main/lease/elsewhere-1-00.json"
    run_expect 0 pgcask backup
    [ -e "$dir/one/main/backup/20240101T000000Z-other/db.dump.zst" ]
    touch -d '8 days ago' "$dir/one/main/lease/elsewhere-1-00.json"
    run_expect 0 pgcask backup
    equal "$(rubbish)" ""
}

test_an_upload_that_was_left_is_swept_after_a_day()
{
    scene upload
    small_config
    run_expect 0 pgcask backup
    mkdir -p "$dir/one/main/backup/x"
    touch "$dir/one/.pgcask-tmp-1-0" "$dir/one/main/.pgcask-tmp-2-0"
    touch -d '2 days ago' "$dir/one/.pgcask-tmp-1-0"
    run_expect 0 pgcask backup
    [ ! -e "$dir/one/.pgcask-tmp-1-0" ]
    [ -e "$dir/one/main/.pgcask-tmp-2-0" ]
}

test_ctrl_c_leaves_nothing()
{
    local signal

    scene signals
    gated_config
    run_expect 0 pgcask -c "$dir/weekly.ini" backup
    objects >"$dir/before"
    for signal in INT TERM HUP; do
        rm -f "$dir/arrived"
        start_bg pgcask backup >"$dir/out" 2>"$dir/err"
        wait_until 60 test -e "$dir/arrived"
        kill -"$signal" "$bg_pid"
        wait_gone 30 "$bg_pid"
        ended "$bg_pid"
        equal "$code" 1 "exit code after SIG$signal"
        equal "$(cat "$dir/err")" "ERROR: stopped by a signal"
        objects | diff "$dir/before" -
        equal "$(rubbish)" ""
    done
    touch "$dir/open"
    run_expect 0 pgcask backup
    expect_silent # such a run did not die
}

test_ctrl_c_in_the_middle_of_the_rows_leaves_nothing()
{
    scene rows
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section "exec = $(gate_within pg_dump --section=data)")
$(store_section one)
$(job_section daily "databases = bulk" "table_size = 512KiB")
END
    start_bg pgcask backup >"$dir/out" 2>"$dir/err"
    wait_until 60 test -e "$dir/arrived"
    kill -INT "$bg_pid"
    wait_gone 30 "$bg_pid"
    ended "$bg_pid"
    touch "$dir/open"
    equal "$code" 1 "exit code"
    equal "$(cat "$dir/err")" "ERROR: stopped by a signal"
    nothing_but_the_label
}

start_postgres
createdb bulk
createdb small
psql -Xq -v mib=8 -d bulk -f "$top/tests/data/bulk.sql"
sql small -c 'CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n'
run_tests
