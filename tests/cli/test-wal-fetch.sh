#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask wal fetch`: what PostgreSQL is told when a file is there, is not, is damaged or cannot be
# known; what is fetched ahead; and recoveries from a copy of a server's files.

# shellcheck source=scene-wal.sh
. "$(dirname "$0")/scene-wal.sh"

# filled NAME COUNT - a wal_scene with that many segments archived; $data has them no more, $dir/kept does
filled()
{
    local i

    wal_scene "$1"
    for ((i = 1; i <= $2; i++)); do
        segment 1 "$i"
    done
    run_expect 0 push "$(wal_name 1 1)"
    mv "$data/pg_wal" "$dir/kept"
    mkdir "$data/pg_wal"
}

# fetched NAME - the last fetch brought that file to pg_wal/RECOVERYXLOG
fetched()
{
    same "$data/pg_wal/RECOVERYXLOG" "$dir/kept/$1"
    expect_mode "$data/pg_wal/RECOVERYXLOG" 600
    equal "$(ls "$data/pg_wal")" RECOVERYXLOG
    rm "$data/pg_wal/RECOVERYXLOG"
}

# not_fetched CODE NAME [OPTION…] - and what was there before is there still
not_fetched()
{
    local code=$1

    shift
    echo before >"$data/pg_wal/RECOVERYXLOG"
    run_expect "$code" fetch "$1" pg_wal/RECOVERYXLOG "${@:2}"
    equal "$(cat "$data/pg_wal/RECOVERYXLOG")" before
    equal "$(ls "$data/pg_wal")" RECOVERYXLOG
    rm "$data/pg_wal/RECOVERYXLOG"
}

stock()
{
    find "$dir/state/wal" -path '*/stock-*' -type f -name '0*' 2>/dev/null | sed 's|.*/||' | sort
}

test_a_file_comes_whole_and_what_is_not_there_is_1()
{
    filled simple 2
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG --no-ahead
    expect_silent
    fetched "$(wal_name 1 1)"
    not_fetched 1 "$(wal_name 1 3)"
    expect_silent
    not_fetched 1 "$(wal_name 2 1)"
    not_fetched 1 00000002.history
    run_expect 0 fetch "$(wal_name 1 2)" "$dir/elsewhere" --no-ahead
    same "$dir/elsewhere" "$dir/kept/$(wal_name 1 2)"
}

test_whatever_is_wrong_with_the_call_is_126()
{
    local name

    filled calls 1
    name=$(wal_name 1 1)
    not_fetched 126 "$name" --no-such-option
    not_fetched 126 "$name" --cluster other
    not_fetched 126 "$name" --store other
    not_fetched 126 "$name" --system-identifier x
    not_fetched 126 "$name" --system-identifier 7400000000000000000
    expect_err "the data directory says $system"
    not_fetched 126 notes.txt
    not_fetched 126 "$name" --config "$dir/missing.ini"
    run_expect 126 pgcask wal fetch "$name"
    run_expect 126 pgcask --no-such-option wal fetch "$name" "$dir/x"
    run_expect 126 pgcask --config "$dir/missing.ini" wal fetch "$name" "$dir/x"
    run_expect 126 fetch "$name" "$dir/no/such/directory/x" --no-ahead
    flip "$data/global/pg_control" 100
    not_fetched 126 "$name"
}

test_without_the_key_it_is_126()
{
    filled locked 1
    sed -i '/^identity_file/d' "$dir/pgcask.ini"
    not_fetched 126 "$(wal_name 1 1)"
    expect_err "there is no identity"
    not_fetched 1 "$(wal_name 1 2)"
    echo "identity_file = $dir/missing.txt" | sed -i '/^state_dir/r /dev/stdin' "$dir/pgcask.ini"
    not_fetched 126 "$(wal_name 1 2)"
}

two_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
[cluster main]
conninfo = host=/nowhere
$(store_section one)
$(store_section two)
END
}

# filled_twice NAME COUNT - in the stores one and two
filled_twice()
{
    filled "$1" "$2"
    cp -r "$dir/one" "$dir/two"
    two_stores
}

test_a_store_that_is_down_is_not_an_empty_archive()
{
    filled_twice down 1
    mv "$dir/one" "$dir/away"
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    expect_err "store 'one'"
    fetched "$(wal_name 1 1)"
    not_fetched 126 "$(wal_name 1 2)"
    expect_err "is in none of the stores that answer"
    expect_err "--store"
    not_fetched 1 "$(wal_name 1 2)" --store two
    mkdir "$dir/one" # not mounted
    not_fetched 126 "$(wal_name 1 2)"
    expect_err "store 'one'"
    rmdir "$dir/one"
    mv "$dir/away" "$dir/one"
    not_fetched 1 "$(wal_name 1 2)"
}

test_a_damaged_copy_is_passed_over()
{
    local name object

    filled_twice damaged 3
    name=$(wal_name 1 1)
    flip "$(object "$name" one)" 5000
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG --no-ahead
    expect_err "store 'one'"
    fetched "$name"
    object=$(object "$name" two)
    truncate -s -1 "$object"
    not_fetched 126 "$name"
    cp "$(object "$(wal_name 1 2)" two)" "$object" # what another file holds
    not_fetched 126 "$name"
    expect_err "the digest of its plain bytes is"
    name=$(wal_name 1 3)
    rm "$(object "$name" one)"
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG --no-ahead
    expect_silent
    fetched "$name"
}

test_two_files_of_one_name_are_trouble()
{
    local name other

    filled_twice dispute 1
    name=$(wal_name 1 1)
    other=$(object "$name" two)
    mv "$other" "$(dirname "$other")/$name-00112233445566778899aabbccddeeff.zst.age"
    not_fetched 126 "$name"
    expect_err "there are two different '$name'"
    expect_err "00112233445566778899aabbccddeeff in store 'two'"
    expect_err "$(expr "$(object "$name" one)" : '.*-\([0-9a-f]*\)') in store 'one'"
}

test_a_segment_of_another_system_or_name_is_not_taken()
{
    local name object

    filled foreign 2
    name=$(wal_name 1 1)
    object=$(object "$name")
    mkdir -p "$dir/one/main/wal/7400000000000000000/00000001/0000000100000000"
    cp "$object" "$dir/one/main/wal/7400000000000000000/00000001/0000000100000000/"
    control 7400000000000000000
    not_fetched 126 "$name"
    expect_err "it is of system $system, not of 7400000000000000000"
    control "$system"
    cp "$object" "$(dirname "$object")/$(wal_name 1 5)-${object##*-}"
    not_fetched 126 "$(wal_name 1 5)"
    expect_err "holds what its header calls '$name'"
}

test_without_a_data_directory_the_newest_system_is_meant()
{
    local name

    filled newest 1
    name=$(wal_name 1 1)
    mkdir -p "$dir/one/main/wal/999/00000001/0000000100000000"
    cp "$(object "$name")" "$dir/one/main/wal/999/00000001/0000000100000000/"
    rm "$data/global/pg_control"
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG
    expect_err "taking the newest, $system"
    fetched "$name"
    not_fetched 126 "$name" --system-identifier 999
    not_fetched 1 "$name" --system-identifier 998
}

# ---- .partial ----

test_of_a_segment_that_is_not_whole_the_longest_partial_is_taken()
{
    local name i

    filled partial 1
    name=$(wal_name 1 2)
    for i in 3 90 5; do # pages
        make_segment "$data/pg_wal/$name.partial" 1 2 1 "$system" "$i"
        [ "$i" != 90 ] || cp "$data/pg_wal/$name.partial" "$dir/kept/$name"
        run_expect 0 push "$name.partial" --no-ahead
    done
    rm "$data/pg_wal/$name.partial"
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG -v
    expect_err "is not whole in the archive: taking its .partial"
    fetched "$name"
    run_expect 0 fetch "$name.partial" pg_wal/RECOVERYXLOG
    fetched "$name"
    not_fetched 1 "$(wal_name 1 3).partial"
    make_segment "$data/pg_wal/$name" 1 2
    cp "$data/pg_wal/$name" "$dir/kept/"
    run_expect 0 push "$name" --no-ahead
    rm "$data/pg_wal/$name"
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG
    fetched "$name"
}

test_a_partial_never_stands_in_for_more_that_the_data_directory_has()
{
    local name

    filled better 1
    name=$(wal_name 1 2)
    make_segment "$data/pg_wal/$name.partial" 1 2 1 "$system" 10
    run_expect 0 push "$name.partial" --no-ahead
    rm "$data/pg_wal/$name.partial"
    make_segment "$data/pg_wal/$name" 1 2 1 "$system" 20
    run_expect 1 fetch "$name" pg_wal/RECOVERYXLOG
    make_segment "$data/pg_wal/$name" 1 2 1 "$system" 10
    run_expect 1 fetch "$name" pg_wal/RECOVERYXLOG
    make_segment "$data/pg_wal/$name" 1 2 1 "$system" 9
    run_expect 0 fetch "$name" pg_wal/RECOVERYXLOG
}

# ---- fetching ahead ----

stock_is_empty()
{
    [ -z "$(stock)" ]
}

in_stock()
{
    [ "$(stock | grep -vc tmp)" = "$1" ]
}

test_what_follows_is_fetched_ahead()
{
    local i

    filled ahead 10
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    expect_silent
    fetched "$(wal_name 1 1)"
    wait_until 30 in_stock 9
    expect_mode "$(echo "$dir"/state/wal/main/stock-*)" 700
    for ((i = 2; i <= 10; i++)); do
        run_expect 0 fetch "$(wal_name 1 "$i")" pg_wal/RECOVERYXLOG -v
        expect_err "'$(wal_name 1 "$i")' was fetched ahead"
        fetched "$(wal_name 1 "$i")"
    done
    not_fetched 1 "$(wal_name 1 11)"
    wait_until 10 stock_is_empty
}

test_every_order_of_asking_is_served()
{
    local i

    filled order 12
    for i in 1 2 5 6 4 4 12 1 3; do
        run_expect 0 fetch "$(wal_name 1 "$i")" pg_wal/RECOVERYXLOG
        fetched "$(wal_name 1 "$i")"
    done
}

test_a_spoilt_stock_is_not_used()
{
    local entry

    filled spoilt 4
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    fetched "$(wal_name 1 1)"
    wait_until 30 in_stock 3
    for entry in "$dir"/state/wal/main/stock-*/0*; do
        flip "$entry" 70000
    done
    run_expect 0 fetch "$(wal_name 1 2)" pg_wal/RECOVERYXLOG -v
    expect_err "fetching it once more"
    fetched "$(wal_name 1 2)"
}

test_stocks_of_two_systems_and_directories_do_not_mix()
{
    filled mixed 3
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    fetched "$(wal_name 1 1)"
    wait_until 30 in_stock 2
    control 7400000000000000000
    not_fetched 1 "$(wal_name 1 2)"
    control "$system"
    cp -r "$data" "$dir/data2"
    (cd "$dir/data2" && run_expect 0 pgcask wal fetch "$(wal_name 1 2)" x -v && same x "$dir/kept/$(wal_name 1 2)")
    expect_no_err "was fetched ahead"
    run_expect 0 fetch "$(wal_name 1 2)" pg_wal/RECOVERYXLOG -v
    expect_err "was fetched ahead"
    fetched "$(wal_name 1 2)"
}

test_the_stock_may_be_on_another_file_system()
{
    local shm

    [ "$(stat -c %d /dev/shm)" != "$(stat -c %d "$tmp")" ] || skip "there is no second file system"
    shm=$(mktemp -d /dev/shm/pgcask-test.XXXXXX) || skip "/dev/shm cannot be written to"
    cleanup_fn rm -rf "$shm"
    filled far 3
    sed -i "s|^state_dir.*|state_dir = $shm/state|" "$dir/pgcask.ini"
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    fetched "$(wal_name 1 1)"
    wait_until 30 test -e "$(echo "$shm"/state/wal/main/stock-*)/$(basename "$(object "$(wal_name 1 3)")" .zst.age)"
    run_expect 0 fetch "$(wal_name 1 3)" pg_wal/RECOVERYXLOG -v
    expect_err "was fetched ahead"
    fetched "$(wal_name 1 3)"
}

test_what_a_dead_process_left_is_used_or_thrown_away()
{
    local stock

    filled dead 3
    run_expect 0 fetch "$(wal_name 1 1)" pg_wal/RECOVERYXLOG
    fetched "$(wal_name 1 1)"
    wait_until 30 in_stock 2
    stock=$(echo "$dir"/state/wal/main/stock-*)
    kill -KILL "$(cat "$stock/.lock")"
    wait_gone 5 "$(cat "$stock/.lock")"
    : >"$stock/$(wal_name 1 2).tmp"
    rm "$stock/$(wal_name 1 2)-"*
    run_expect 0 fetch "$(wal_name 1 2)" pg_wal/RECOVERYXLOG -v
    fetched "$(wal_name 1 2)"
    run_expect 0 fetch "$(wal_name 1 3)" pg_wal/RECOVERYXLOG -v
    fetched "$(wal_name 1 3)"
    wait_until 10 stock_is_empty
}

# ---- recoveries ----

count_ledger()
{
    sql postgres -c 'SELECT count(*), sum(id) FROM ledger'
}

test_a_copy_recovers_everything_and_begins_a_new_timeline()
{
    local before after

    server_scene recovery
    start_server origin "archive_mode = on
archive_command = '$archive'"
    sql postgres -c 'CREATE TABLE ledger (id bigint, text text)'
    copy_server copy
    copy_server second
    sql postgres -c "INSERT INTO ledger SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 200000) g"
    switch_wal
    wait_until 180 all_archived
    before=$(count_ledger)
    "$pg" stop
    sed -i 's/^archive_mode = off/archive_mode = on/' "$tmp/copy/data/postgresql.auto.conf"
    recover copy
    equal "$(count_ledger)" "$before"
    grep -q 'was fetched ahead' "$PG_BASE/server.log" || fail "nothing was fetched ahead"
    never grep -q 'FATAL\|PANIC' "$PG_BASE/server.log"
    sql postgres -c "INSERT INTO ledger SELECT g, 'on timeline 2' FROM generate_series(300001, 300100) g"
    switch_wal
    wait_until 180 all_archived
    after=$(count_ledger)
    "$pg" stop
    [ -n "$(object 00000002.history)" ]
    recover second # follows the newest timeline
    equal "$(count_ledger)" "$after"
    equal "$(sql postgres -c 'SELECT timeline_id FROM pg_control_checkpoint()')" 3
}

test_recovery_stops_instead_of_ending_early_when_a_store_is_away()
{
    server_scene away
    start_server source "archive_mode = on
archive_command = '$archive'"
    sql postgres -c 'CREATE TABLE ledger (id bigint, text text)'
    copy_server stopped
    sql postgres -c "INSERT INTO ledger SELECT g, 'x' FROM generate_series(1, 1000) g"
    switch_wal
    wait_until 180 all_archived
    "$pg" stop
    mv "$dir/one" "$dir/gone"
    export PG_BASE=$tmp/stopped
    never "$pg" start 2>"$tmp/err"
    grep -q 'exit code 126\|could not restore file' "$PG_BASE/server.log" || fail "$(cat "$PG_BASE/server.log")"
    mv "$dir/gone" "$dir/one"
    recover stopped
    equal "$(count_ledger)" "1000|500500"
}

run_tests
