#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask sync` and archived WAL: what a store missed comes to it later, object by object, also behind a kill -9; what is damaged
# or in dispute does not spread.

# shellcheck source=scene-wal.sh
. "$(dirname "$0")/scene-wal.sh"

# two_stores [LINE-OF-TWO…] - the cluster's WAL goes to both
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

# away FIRST LAST - segments of timeline 1 are archived while two, which is optional then, is not there
away()
{
    local number

    two_stores "required = no" "create = no"
    for ((number = $1; number <= $2; number++)); do
        segment 1 "$number"
        run_expect 0 push "$(wal_name 1 "$number")" --no-ahead
    done
    two_stores
}

# alone STORE - the same config with that store only; its name
alone()
{
    { sed '/^\[store /,$d' "$PGCASK_CONFIG" && store_section "$1"; } | configure "$dir/alone.ini"
    echo "$dir/alone.ini"
}

# push_alone STORE NAME - to that store only
push_alone()
{
    run_expect 0 pgcask -c "$(alone "$1")" wal push --system-identifier "$system" "$data/pg_wal/$2" --no-ahead
}

same_objects()
{
    (cd "$dir/one" && find main/wal -type f -exec cksum {} + | sort -k 3) >"$dir/wal.1"
    (cd "$dir/two" && find main/wal -type f -exec cksum {} + | sort -k 3) >"$dir/wal.2"
    same "$dir/wal.1" "$dir/wal.2"
}

test_a_store_that_was_away_catches_up()
{
    wal_scene away
    away 1 5
    printf '1\t0/700000\tno recovery target specified\n' >"$data/pg_wal/00000002.history"
    push_alone one 00000002.history
    never test -e "$dir/two"
    mkdir -m 700 "$dir/two"
    run_expect 0 pgcask sync --dry-run
    expect_out "copy WAL of timeline 1 to two: 5 files, $(wal_name 1 1) to $(wal_name 1 5) ("
    expect_out "copy WAL of timeline 2 to two: 1 file, 00000002.history to 00000002.history ("
    equal "$(find "$dir/two" -type f)" ""
    run_expect 0 pgcask -v sync
    expect_err "5 of 5 files copied to store 'two'"
    same_objects
    archived_is "$(wal_name 1 3)" "$data/pg_wal/$(wal_name 1 3)" two
    run_expect 0 pgcask sync
    expect_silent
    run_expect 0 pgcask sync --dry-run
    expect_silent
    run_expect 0 push "$(wal_name 1 5)" # what was copied is what would have been pushed
}

test_json_and_a_choice_of_stores()
{
    wal_scene choice
    away 1 2
    run_expect 0 pgcask sync --to one
    never test -e "$dir/two/main"
    run_expect 0 pgcask sync --from one --to two --json
    equal "$(jq -c 'map([.action, .outcome, .store, .timeline, .files, .copied_files, .system_identifier]) | .[]' "$tmp/out")" \
        "[\"wal\",\"done\",\"two\",1,2,2,\"$system\"]"
    equal "$(jq '.[0].copied_bytes == .[0].stored_size and .[0].stored_size > 1000' "$tmp/out")" true
    same_objects
}

test_no_key_is_needed()
{
    wal_scene nokey
    away 1 2
    sed -i '/^identity_file/d' "$PGCASK_CONFIG"
    run_expect 0 pgcask sync
    expect_silent
    same_objects
}

some_are_there()
{
    [ "$(archived two 2>/dev/null | wc -l)" -ge 3 ]
}

test_a_kill_in_the_middle_is_gone_on_with()
{
    local before

    wal_scene killed
    away 1 24
    { sed '/^\[store two\]/,$d' "$PGCASK_CONFIG" && store_section two "bandwidth = 1MiB"; } | configure "$dir/slow.ini"
    start_bg pgcask -c "$dir/slow.ini" sync
    wait_until 60 some_are_there
    kill -KILL "$bg_pid"
    ended "$bg_pid"
    before=$(archived two | wc -l)
    [ "$before" -lt 24 ] || fail "it was over too soon"
    run_expect 0 pgcask sync --json
    equal "$(jq '.[0].copied_files' "$tmp/out")" $((24 - before))
    same_objects
    equal "$(pgcask sync --json | jq length)" 0
}

test_a_damaged_source_does_not_spread()
{
    local name

    wal_scene damaged
    away 1 3
    name=$(wal_name 1 2)
    flip "$(object "$name")" 3000
    run_expect 3 pgcask sync
    expect_err "store 'one': object '"
    expect_err "it was changed, or the file was cut here, that WAL is not copied"
    expect_err "WARN: 1 WAL file could not be brought where it should be"
    equal "$(archived two)" "$(printf '%s\n' "$(wal_name 1 1)" "$(wal_name 1 3)")"
    run_expect 1 pgcask sync
    expect_err "none of 1 WAL files could be brought where it should be"

    # with another source, that one is taken
    flip "$(object "$name")" 3000
    run_expect 0 pgcask sync
    flip "$(object "$name")" 3000
    store_section three >>"$PGCASK_CONFIG"
    run_expect 0 pgcask sync
    expect_err "trying the next store"
    archived_is "$name" "$data/pg_wal/$name" three
}

test_two_contents_of_one_name_are_told()
{
    local name

    wal_scene conflict
    away 1 3
    name=$(wal_name 1 2)
    make_segment "$data/pg_wal/$name" 1 2 77
    push_alone two "$name"
    run_expect 3 pgcask sync
    expect_err "there are two different '$name': digest "
    expect_err "neither is copied"
    expect_err "HINT: two servers have archived as cluster 'main'"
    equal "$(archived two)" "$(archived one)"
    equal "$(object "$name" one | wc -l) $(object "$name" two | wc -l)" "1 1"
    run_expect 1 pgcask sync --json
    equal "$(jq length "$tmp/out")" 0
    rm "$(object "$name" two)" # people have looked
    run_expect 0 pgcask sync
    same_objects
}

run_tests "$@"
