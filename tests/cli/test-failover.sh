#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# A backup in two stores, and trouble with one of them: restores go on with the other, in the middle of a member, too; what
# comes back is right, and who had the trouble is told. Only when both fail is it an error, which names both.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# two_stores [LINE-OF-THE-JOB…] - a backup of bulk in one and two; kept as it is in $dir/kept
two_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = bulk" "stores = one two" "table_size = 1MiB" "settings_files = no" "$@")
END
    run_expect 0 pgcask backup
    id=$(latest_id)
    cp -a "$dir/one" "$dir/kept"
}

# heal - both stores as they were written, and nothing left of a test that failed
heal()
{
    dropdb --if-exists --force bulk2 2>"$tmp/dropdb"
    rm -rf "$dir/one" "$dir/two"
    cp -a "$dir/kept" "$dir/one"
    cp -a "$dir/kept" "$dir/two"
}

# member STORE NAME - the file
member()
{
    echo "$dir/$1/main/backup/$id/$2.zst.age"
}

# size_of FILE
size_of()
{
    stat -c %s "$1"
}

# restored LINE… - bulk comes back whole, and each LINE was said as a warning, once
restored()
{
    local line

    run_expect 0 pgcask restore "$id" --into bulk2
    for line; do
        equal "$(grep -cF -e "$line" "$tmp/err")" 1 "how often '$line' was said"
    done
    never grep -q '^ERROR' "$tmp/err"
    "$top/tests/compare-db.sh" bulk bulk2
    dropdb bulk2
}

test_prepare()
{
    scene shared
    two_stores
}

test_all_is_well()
{
    of_scene shared
    id=$(latest_id)
    run_expect 0 pgcask -v restore "$id" --into bulk2
    expect_err "INFO: backup '$id' from store 'one', else from 'two'"
    expect_no_err WARN
    dropdb bulk2
}

test_a_member_that_is_missing()
{
    of_scene shared
    id=$(latest_id)
    heal
    rm "$(member one bulk.public.event_log.dump)"
    run_expect 0 pgcask -v restore "$id" --into bulk2
    expect_err "INFO: backup '$id' from store 'two', else from 'one'" # the listing told
    expect_no_err WARN
    dropdb bulk2
    rm "$(member two bulk.dump)" # and nobody has all of it now
    restored "WARN: store 'one': object 'main/backup/$id/bulk.public.event_log.dump.zst.age' is missing, going on with store 'two'"
}

test_a_member_that_was_cut()
{
    of_scene shared
    id=$(latest_id)
    heal
    truncate -s -1 "$(member one bulk.dump)"
    truncate -s -1 "$(member two bulk.public.digest.dump)"
    restored "object 'main/backup/$id/bulk.dump.zst.age' has $(size_of "$(member one bulk.dump)") bytes, the manifest says"
}

test_members_that_are_damaged_in_different_places()
{
    local size

    of_scene shared
    id=$(latest_id)
    heal
    size=$(size_of "$(member one bulk.public.event_log.dump)")
    flip "$(member one bulk.public.event_log.dump)" $((size / 2))
    flip "$(member two bulk.public.event_log.dump)" $((size - 100000))
    flip "$(member one bulk.dump)" 30 # its header
    flip "$(member two bulk.public.document.dump)" "$(size_of "$(member two bulk.public.document.dump)")" # its table
    restored "WARN: store 'one': object 'main/backup/$id/bulk.public.event_log.dump.zst.age': chunk " \
        "WARN: store 'two': object 'main/backup/$id/bulk.public.event_log.dump.zst.age': chunk " \
        "object 'main/backup/$id/bulk.dump.zst.age': the digest of the age header is"
}

test_a_store_that_cannot_be_read()
{
    [ "$(id -u)" != 0 ] || return 0 # root may read all; the run as an ordinary user comes here
    of_scene shared
    id=$(latest_id)
    heal
    chmod 000 "$(member one bulk.public.reading.dump)"
    restored "Permission denied, going on with store 'two'"
    chmod 600 "$(member one bulk.public.reading.dump)"
}

test_tables_and_files_go_on_elsewhere_as_well()
{
    of_scene shared
    id=$(latest_id)
    heal
    run_expect 0 pgcask restore "$id" --table public.event_log --output "$dir/before.sql"
    run_expect 0 pgcask restore "$id" --member bulk.public.event_log.dump --output "$dir/before.dump"
    flip "$(member one bulk.public.event_log.dump)" $(($(size_of "$(member one bulk.public.event_log.dump)") / 2))
    flip "$(member one bulk.dump)" 1000
    run_expect 0 pgcask restore "$id" --table public.event_log --output "$dir/after.sql"
    expect_err "going on with store 'two'"
    same "$dir/before.sql" "$dir/after.sql"
    run_expect 0 pgcask restore "$id" --member bulk.public.event_log.dump --output "$dir/after.dump"
    expect_err "going on with store 'two'"
    same "$dir/before.dump" "$dir/after.dump"
    rm "$dir"/before.* "$dir"/after.*
}

test_one_store_by_name_is_that_store_alone()
{
    of_scene shared
    id=$(latest_id)
    heal
    flip "$(member one bulk.public.event_log.dump)" 100000
    databases >"$dir/databases"
    run_expect 1 pgcask restore "$id" --store one --into bulk2
    expect_err "ERROR: member 'bulk.public.event_log.dump': store 'one': object 'main/backup/$id/bulk.public.event_log.dump.zst.age': chunk "
    expect_no_err "store 'two'"
    unchanged "$dir/databases"
    run_expect 1 pgcask verify "$id" --store one # which never looks elsewhere
    expect_out "$id one bad"
    expect_no_err "store 'two'"
    run_expect 0 pgcask verify "$id" --store two
    find "$dir/one" -name 'verdict-*-bad.json' -delete
}

test_both_that_are_bad_are_named()
{
    local object

    of_scene shared
    id=$(latest_id)
    heal
    object=main/backup/$id/bulk.public.event_log.dump.zst.age
    flip "$(member one bulk.public.event_log.dump)" 100000
    rm "$(member two bulk.public.event_log.dump)"
    databases >"$dir/databases"
    run_expect 1 pgcask restore "$id" --into bulk2
    grep -Eq "^ERROR: .*store 'one': object '$object': chunk .*; store 'two': object '$object' is missing" "$tmp/err" ||
        fail "$(cat "$tmp/err")"
    unchanged "$dir/databases"
    flip "$(member one bulk.public.event_log.dump)" 100000 # back to what it was
    restored
}

test_a_bad_copy_serves_when_the_good_one_fails()
{
    of_scene shared
    id=$(latest_id)
    heal
    flip "$(member one bulk.dump)" 2000
    next_second
    run_expect 1 pgcask verify "$id"
    flip "$(member two bulk.public.document.dump)" 100000
    run_expect 0 pgcask -v restore "$id" --into bulk2
    expect_err "INFO: backup '$id' from store 'two', else from 'one'"
    expect_err "WARN: store 'two': object 'main/backup/$id/bulk.public.document.dump.zst.age': chunk "
    dropdb bulk2
    heal
}

# Without encryption each frame has its checksum, and the digest of all of them is that of the bytes that were used.
test_without_encryption_frames_are_fetched_again()
{
    local size file

    scene plain
    configure <<END
$(pgcask_section "jobs = 2" "recipient_file =" "encrypt = none" | grep -v 'recipient_file\|identity_file')
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = bulk" "stores = one two" "table_size = 1MiB" "settings_files = no")
END
    run_expect 0 pgcask backup
    id=$(latest_id)
    file=main/backup/$id/bulk.public.event_log.dump.zst
    size=$(size_of "$dir/one/$file")
    flip "$dir/one/$file" $((size / 10))
    flip "$dir/two/$file" $((size * 9 / 10))
    flip "$dir/one/$file" "$size" # the table of frames
    restored "WARN: store 'one': object '$file': no table of frames at the end" "WARN: store 'two': object '$file': a compressed frame"
    run_expect 0 pgcask restore "$id" --member bulk.public.event_log.dump --output "$dir/got.dump"
    pg_restore --list "$dir/got.dump" >"$dir/list"
}

test_one_table_reads_no_more_than_before()
{
    local fetched stored

    of_scene shared
    id=$(latest_id)
    heal
    run_expect 0 pgcask -v restore "$id" --table public.photo --output "$dir/photo.sql"
    fetched=$(sed -n 's/^INFO: \([0-9]*\) bytes fetched for the rows$/\1/p' "$tmp/err")
    stored=$(pgcask show "$id" --json | jq '.members[] | select(.table == "photo").stored_size')
    [ "$fetched" -le $((stored * 11 / 10 + 65552)) ] || fail "$fetched bytes for $stored"
    rm "$dir/photo.sql"
}

start_postgres
createdb bulk
psql -Xq -v mib=40 -d bulk -f "$top/tests/data/bulk.sql"
run_tests
