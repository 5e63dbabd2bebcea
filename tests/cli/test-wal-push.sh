#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask wal push`: what may be archived, what is refused, what stores that fail mean, how files
# are sent ahead and what is remembered of it; and real servers that archive under load.

# shellcheck source=scene-wal.sh
. "$(dirname "$0")/scene-wal.sh"

test_a_segment_is_archived_and_once_more()
{
    local name

    wal_scene once
    segment 1 1
    name=$(wal_name 1 1)
    run_expect 0 push "$name"
    expect_silent
    equal "$(archived)" "$name"
    archived_is "$name" "$data/pg_wal/$name"
    run_expect 0 push "$name" -v
    expect_err "'pg_wal/$name' was archived before"
    equal "$(archived)" "$name"
}

test_every_kind_of_file_is_archived()
{
    local name

    wal_scene kinds
    printf '1\t0/100000\tno recovery target specified\n' >"$data/pg_wal/00000002.history"
    make_segment "$data/pg_wal/$(wal_name 1 1).partial" 1 1
    echo "START WAL LOCATION: 0/100028" >"$data/pg_wal/$(wal_name 1 1).00000028.backup"
    make_segment "$data/pg_wal/$(wal_name 2 1)" 1 1 # the segment in which timeline 2 begins has pages of timeline 1
    for name in 00000002.history "$(wal_name 1 1).partial" "$(wal_name 1 1).00000028.backup" "$(wal_name 2 1)"; do
        run_expect 0 push "$name"
        archived_is "$name" "$data/pg_wal/$name"
    done
    equal "$(dirname "$(object 00000002.history)")" "$dir/one/main/wal/$system"
    equal "$(dirname "$(object "$(wal_name 2 1)")")" "$dir/one/main/wal/$system/00000002/0000000200000000"
}

# A server that is promoted while it does not archive never asks for its history.
test_the_history_of_a_segments_timeline_goes_along()
{
    wal_scene along
    printf '1\t0/100000\tno recovery target specified\n' >"$data/pg_wal/00000002.history"
    segment 2 5
    run_expect 0 push "$(wal_name 2 5)"
    expect_silent
    equal "$(archived | xargs)" "00000002.history $(wal_name 2 5)"
    archived_is 00000002.history "$data/pg_wal/00000002.history"
    printf '1\t0/200000\tno recovery target specified\n' >"$data/pg_wal/00000002.history"
    segment 2 6
    run_expect 1 push "$(wal_name 2 6)"
    expect_err "has another '00000002.history' already"
    equal "$(archived | xargs)" "00000002.history $(wal_name 2 5)"
}

# refused NAME TEXT [CODE] - with that file in place
refused()
{
    run_expect "${3:-1}" push "$1"
    expect_err "$2"
    [ ! -d "$dir/one/main" ] || fail "something was archived"
}

test_what_is_not_what_its_name_says_is_refused()
{
    local name

    wal_scene refused
    name=$(wal_name 1 5)
    make_segment "$data/pg_wal/$name" 1 5 1 7309999999999999999
    refused "$name" "is of system 7309999999999999999, not of $system"
    make_segment "$data/pg_wal/$name" 1 6
    refused "$name" "holds what its header calls '$(wal_name 1 6)'"
    make_segment "$data/pg_wal/$name" 2 5
    refused "$name" "is of timeline 1, its header says 2"
    make_segment "$data/pg_wal/$name" 1 5
    truncate -s 1000000 "$data/pg_wal/$name"
    refused "$name" "has 1000000 bytes, its header says 1048576"
    truncate -s 0 "$data/pg_wal/$name"
    refused "$name" "it has 0 bytes"
    truncate -s 1048576 "$data/pg_wal/$name"
    refused "$name" "this is not a WAL segment: it begins with 0000"
    : >"$data/pg_wal/00000002.history"
    refused 00000002.history "is empty"
    printf '3\t0/100000\tx\n' >"$data/pg_wal/00000002.history"
    refused 00000002.history "timeline 3 cannot come behind 0 and before 2"
    refused "$(wal_name 1 9)" "could not open"
    echo x >"$data/pg_wal/notes.txt"
    refused notes.txt "is not the name of a WAL file" 2
    mkdir "$data/pg_wal/$(wal_name 1 10)"
    refused "$(wal_name 1 10)" "is no file"
    flip "$data/global/pg_control" 100
    segment 1 11
    refused "$(wal_name 1 11)" "global/pg_control': its checksum is wrong"
}

test_another_file_of_the_same_name_is_refused_with_both_digests()
{
    local name before

    wal_scene other
    segment 1 1
    name=$(wal_name 1 1)
    run_expect 0 push "$name"
    before=$(object "$name")
    make_segment "$data/pg_wal/$name" 1 1 2
    run_expect 1 push "$name"
    expect_err "store 'one' has another '$name' already: its digest is $(expr "$before" : '.*-\([0-9a-f]*\)')"
    expect_err "that of 'pg_wal/$name' is"
    expect_err "HINT"
    equal "$(object "$name")" "$before"
}

test_of_a_partial_each_is_kept()
{
    local name

    wal_scene partials
    name=$(wal_name 1 1).partial
    make_segment "$data/pg_wal/$name" 1 1 1 "$system" 3
    run_expect 0 push "$name"
    make_segment "$data/pg_wal/$name" 1 1 1 "$system" 5
    run_expect 0 push "$name"
    equal "$(object "$name" | wc -l)" 2
}

test_a_server_that_was_made_anew_begins_a_history_of_its_own()
{
    local name

    wal_scene anew
    segment 1 1
    name=$(wal_name 1 1)
    run_expect 0 push "$name"
    control 7400000000000000000
    segment 1 1 3 7400000000000000000
    run_expect 0 push "$name"
    equal "$(object "$name" | wc -l)" 2
    [ -d "$dir/one/main/wal/7400000000000000000" ]
}

test_the_system_comes_from_the_file_or_the_option_without_a_data_directory()
{
    wal_scene loose
    rm "$data/global/pg_control"
    segment 1 1
    printf '1\t0/100000\tx\n' >"$data/pg_wal/00000002.history"
    run_expect 0 push "$(wal_name 1 1)"
    run_expect 2 push 00000002.history
    expect_err "does not say of which system it is"
    run_expect 0 push 00000002.history --system-identifier "$system" --no-ahead
    run_expect 1 push "$(wal_name 1 1)" --system-identifier 7400000000000000000
    expect_err "is of system $system, not of 7400000000000000000"
    run_expect 2 push "$(wal_name 1 1)" --system-identifier 0x10
    control "$system"
    run_expect 2 push 00000002.history --system-identifier 7400000000000000000
    expect_err "the data directory says $system"
}

two_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
[cluster main]
conninfo = host=/nowhere
$(store_section one)
$(store_section two "$@")
END
}

# break_store NAME - as if its file system had gone; mend_store NAME
break_store()
{
    mv "$dir/$1" "$dir/$1.away"
    : >"$dir/$1"
}

mend_store()
{
    rm "$dir/$1"
    mv "$dir/$1.away" "$dir/$1"
}

test_a_required_store_that_is_down_fails_and_the_other_has_it()
{
    local name

    wal_scene required
    two_stores
    segment 1 1
    segment 1 2
    run_expect 0 push "$(wal_name 1 1)" --no-ahead
    break_store two
    name=$(wal_name 1 2)
    run_expect 1 push "$name"
    expect_err "1 of them could not be opened"
    equal "$(archived one)" "$(wal_name 1 1)
$name"
    equal "$(records)" ""
    mend_store two
    run_expect 0 push "$name"
    equal "$(archived two)" "$(archived one)"
    archived_is "$name" "$data/pg_wal/$name" two
}

test_an_optional_store_that_is_down_warns()
{
    wal_scene optional
    two_stores "required = no"
    segment 1 1
    run_expect 0 push "$(wal_name 1 1)"
    break_store two
    segment 1 2
    run_expect 0 push "$(wal_name 1 2)"
    expect_err "WARN"
    expect_err "store 'two'"
    equal "$(archived one | wc -l)" 2
}

test_optional_stores_that_are_all_down_fail()
{
    wal_scene none
    configure <<END
$(pgcask_section)
[cluster main]
conninfo = host=/nowhere
$(store_section one "required = no")
END
    segment 1 1
    run_expect 0 push "$(wal_name 1 1)"
    segment 1 2
    break_store one
    run_expect 1 push "$(wal_name 1 2)"
}

test_only_the_stores_of_the_cluster_are_used()
{
    wal_scene chosen
    configure <<END
$(pgcask_section)
[cluster main]
conninfo = host=/nowhere
wal_stores = two
$(store_section one)
$(store_section two)
END
    segment 1 1
    run_expect 0 push "$(wal_name 1 1)"
    equal "$(archived two)" "$(wal_name 1 1)"
    [ ! -e "$dir/one" ] || fail "the other store was used"
    sed -i 's/^wal_stores.*/wal_stores = three/' "$dir/pgcask.ini"
    run_expect 2 push "$(wal_name 1 1)"
    expect_err "wal_stores"
}

# ---- looking ahead ----

backlog()
{
    local i

    for ((i = 1; i <= $1; i++)); do
        segment 1 "$i"
    done
}

test_what_is_ready_is_sent_ahead_and_the_calls_for_it_return_at_once()
{
    local i name

    wal_scene ahead
    backlog 12
    run_expect 0 push "$(wal_name 1 1)"
    equal "$(archived | wc -l)" 12
    equal "$(records | wc -l)" 11
    for ((i = 2; i <= 12; i++)); do
        name=$(wal_name 1 "$i")
        rm "$data/pg_wal/archive_status/$(wal_name 1 $((i - 1))).ready"
        run_expect 0 push "$name" -v
        expect_err "'pg_wal/$name' was sent ahead"
        archived_is "$name" "$data/pg_wal/$name"
    done
    equal "$(records)" ""
}

test_a_record_counts_once()
{
    wal_scene twice
    backlog 2
    run_expect 0 push "$(wal_name 1 1)"
    run_expect 0 push "$(wal_name 1 2)" -v
    expect_err "was sent ahead"
    run_expect 0 push "$(wal_name 1 2)" -v --no-ahead
    expect_err "was archived before"
}

test_a_record_is_worth_nothing_when_anything_has_changed()
{
    local name

    wal_scene changed
    backlog 6
    run_expect 0 push "$(wal_name 1 1)"
    equal "$(records | wc -l)" 5
    name=$(wal_name 1 2) # another content, in the same file, of the same size and time
    touch -r "$data/pg_wal/$name" "$dir/time"
    make_segment "$data/pg_wal/$name" 1 2 9
    touch -r "$dir/time" "$data/pg_wal/$name"
    run_expect 1 push "$name" --no-ahead
    expect_err "has another '$name' already"
    name=$(wal_name 1 3) # the same content in another file
    cp -p "$data/pg_wal/$name" "$dir/copy"
    mv "$dir/copy" "$data/pg_wal/$name"
    run_expect 0 push "$name" -v --no-ahead
    expect_err "was archived before"
    name=$(wal_name 1 4) # a record of something else
    find "$dir/state/wal" -name "$name" -exec cp "$(find "$dir/state/wal" -name "$(wal_name 1 5)")" {} \;
    run_expect 0 push "$name" -v --no-ahead
    expect_err "was archived before"
    name=$(wal_name 1 5) # another config: it may name other stores
    echo "; a comment" >>"$dir/pgcask.ini"
    run_expect 0 push "$name" -v --no-ahead
    expect_err "was archived before"
    equal "$(records)" "$(wal_name 1 6)"
}

test_trouble_with_a_file_sent_ahead_is_told_when_it_is_asked_for()
{
    wal_scene trouble
    backlog 4
    truncate -s 5000 "$data/pg_wal/$(wal_name 1 2)"
    rm "$data/pg_wal/$(wal_name 1 3)"
    run_expect 0 push "$(wal_name 1 1)"
    expect_silent
    equal "$(records)" "$(wal_name 1 4)"
    run_expect 1 push "$(wal_name 1 2)"
    expect_err "has 5000 bytes"
}

test_records_that_nobody_asks_for_go()
{
    wal_scene tidy
    backlog 4
    run_expect 0 push "$(wal_name 1 1)"
    equal "$(records | wc -l)" 3
    rm "$data/pg_wal/archive_status/$(wal_name 1 2).ready"
    segment 1 5
    run_expect 0 push "$(wal_name 1 5)"
    equal "$(records)" "$(wal_name 1 1)
$(wal_name 1 3)
$(wal_name 1 4)"
}

test_a_history_goes_first_and_the_number_of_files_is_bounded()
{
    wal_scene order
    backlog 70
    printf '1\t0/100000\tx\n' >"$data/pg_wal/00000002.history"
    touch "$data/pg_wal/archive_status/00000002.history.ready"
    run_expect 0 push "$(wal_name 1 1)"
    equal "$(records | wc -l)" 64
    equal "$(records | head -n 1)" "$(wal_name 1 2)"
    equal "$(records | tail -n 1)" 00000002.history
    equal "$(records | tail -n 2 | head -n 1)" "$(wal_name 1 64)"
}

test_a_store_that_fails_meanwhile_leaves_no_records()
{
    wal_scene half
    two_stores
    backlog 3
    run_expect 0 push "$(wal_name 1 1)" --no-ahead
    break_store two
    run_expect 1 push "$(wal_name 1 2)"
    equal "$(records)" ""
    equal "$(archived one | wc -l)" 3 # what can be saved is saved
}

test_several_pushes_of_one_file_at_once()
{
    local name pids='' pid i failed=0

    wal_scene crowd
    segment 1 1
    name=$(wal_name 1 1)
    for i in 1 2 3 4 5 6; do
        push "$name" 2>"$dir/err.$i" &
        pids="$pids $!"
    done
    for pid in $pids; do
        wait "$pid" || failed=$((failed + 1))
    done
    equal "$failed" 0
    equal "$(archived)" "$name"
    archived_is "$name" "$data/pg_wal/$name"
}

test_two_hosts_with_the_same_name_are_never_both_believed()
{
    local name one two i

    wal_scene rivals
    for i in 1 2 3 4 5 6 7 8; do
        name=$(wal_name 1 "$i")
        mkdir -p "$dir/other/pg_wal" "$dir/other/global"
        cp "$data/global/pg_control" "$dir/other/global/"
        make_segment "$data/pg_wal/$name" 1 "$i" 1
        make_segment "$dir/other/pg_wal/$name" 1 "$i" 2
        one=0 two=0
        (cd "$data" && pgcask wal push "pg_wal/$name" 2>"$dir/err.1") &
        (cd "$dir/other" && pgcask wal push "pg_wal/$name" 2>"$dir/err.2") || two=$?
        wait $! || one=$?
        [ "$one" != 0 ] || [ "$two" != 0 ] || fail "both were believed"
    done
}

# ---- kill -9 ----

# records_tell_the_truth - each record's file is in the store, byte for byte
records_tell_the_truth()
{
    local name

    for name in $(records | grep -v tmp); do
        archived_is "$name" "$data/pg_wal/$name"
    done
}

test_killed_at_many_moments_nothing_wrong_is_recorded()
{
    local turn pid killed=0 begin total_us

    wal_scene killed
    backlog 8
    begin=${EPOCHREALTIME/[.,]/}
    run_expect 0 push "$(wal_name 1 1)"
    total_us=$((${EPOCHREALTIME/[.,]/} - begin))
    for ((turn = 0; killed < 25 && turn < 100; turn++)); do
        rm -rf "$dir/one" "$dir/state"
        (cd "$data" && exec pgcask wal push "pg_wal/$(wal_name 1 1)" 2>"$dir/err") &
        pid=$!
        sleep "$(printf '%d.%06d' $((total_us * (turn % 25) / 25 / 1000000)) $((total_us * (turn % 25) / 25 % 1000000)))"
        if kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        else
            total_us=$((total_us * 9 / 10)) # it was measured while the machine was busier
        fi
        wait "$pid" 2>/dev/null || :
        records_tell_the_truth
        run_expect 0 push "$(wal_name 1 1)"
        equal "$(archived)" "$(for i in 1 2 3 4 5 6 7 8; do wal_name 1 "$i"; echo; done)"
    done
    echo "    killed $killed times"
    [ "$killed" = 25 ] || fail "only $killed of them were killed"
}

# ---- real servers ----

load()
{
    sql postgres -c "INSERT INTO ledger SELECT g, repeat(md5(g::text), 20) FROM generate_series($1, $2) g"
}

# archive_is_complete - each segment that PostgreSQL still has and calls done is in the archive as it is
archive_is_complete()
{
    local name

    for name in $(find "$PG_BASE/data/pg_wal/archive_status" -name '*.done' |
        sed -n 's|.*/\([0-9A-F]\{24\}\)\.done$|\1|p'); do
        as_server age -d -i "$dir/identity.txt" "$(object "$name")" | zstd -dq | cmp -s - "$PG_BASE/data/pg_wal/$name" ||
            fail "'$name' is not in the archive, or is another one"
    done
}

test_a_server_archives_under_load_through_restarts_and_crashes()
{
    local i

    server_scene server
    start_server busy "archive_mode = on
archive_command = '$archive'
wal_keep_size = '2GB'"
    sql postgres -c 'CREATE TABLE ledger (id bigint, text text)'
    for i in 1 2 3 4 5 6; do
        load "$((i * 100000))" "$((i * 100000 + 60000))" &
        case $i in
            2) wait $!; "$pg" stop; "$pg" start ;;
            3) sleep 0.5; "$pg" crash; wait $! 2>/dev/null || :; "$pg" start ;;
            4) sleep 0.2; "$pg" crash; wait $! 2>/dev/null || :; "$pg" start ;;
            *) wait $! ;;
        esac
    done
    switch_wal
    wait_until 180 all_archived
    archive_is_complete
    [ "$(archived | wc -l)" -gt 10 ] || fail "there was no load"
}

test_a_backlog_is_worked_off_by_few_processes()
{
    server_scene late
    start_server waiting "archive_mode = on
archive_command = 'false'
wal_keep_size = '2GB'"
    sql postgres -c 'CREATE TABLE ledger (id bigint, text text)'
    load 1 150000
    switch_wal
    sql postgres -c "ALTER SYSTEM SET archive_command = '$archive'" -c 'SELECT pg_reload_conf()' >/dev/null
    wait_until 180 all_archived
    archive_is_complete
    [ "$(grep -c 'was sent ahead' "$PG_BASE/server.log")" -ge 5 ] || fail "nothing was sent ahead"
}

run_tests
