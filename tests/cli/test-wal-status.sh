#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask wal status`: what can be restored, by base backups and WAL of a real server; gaps, and where they can be mended;
# a store that is behind, a server that does not answer, roles that may see little.

# shellcheck source=scene-base.sh
. "$(dirname "$0")/scene-base.sh"

# status_config [LINE-OF-THE-CLUSTER…] - two stores, a job for each and one for both
status_config()
{
    configure <<END
$(pgcask_section)
$(cluster_section "$@")
$(store_section one)
$(store_section two)
$(job_section base "kind = base" "stores = one two" "wal = include")
END
}

# next_segments COUNT - that many are filled a little, archived by the server and pushed
next_segments()
{
    local i

    for ((i = 0; i < $1; i++)); do
        sql postgres -c "SELECT txid_current()" -c "SELECT pg_switch_wal()" >"$tmp/lsn"
    done
    wait_until 30 spooled
    push_spool
}

# The last segment that was ended is in the spool.
spooled()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")" = 0 ]
}

status_json()
{
    local code=$1

    shift
    run_expect "$code" pgcask wal status --json "$@"
}

# is FILTER WANTED - in the last status_json
is()
{
    equal "$(jq -r "$1" "$tmp/out")" "$2" "$1"
}

# newest COUNT - names of the newest segments that store one has, oldest of them first
newest()
{
    find "$dir/one/main/wal" -type f -name '0*' | sed 's|.*/||; s|-.*||' | grep -xE '[0-9A-F]{24}' | sort | tail -n "$1"
}

drop_segment() # STORE NAME
{
    find "$dir/$1/main/wal" -name "$2-*" -delete
}

test_nothing_is_there()
{
    scene nothing
    mkdir -m 700 "$dir/one" "$dir/two"
    status_config
    run_expect 3 pgcask wal status
    expect_out "cluster 'main': system $system, segments of 16.0 MiB"
    expect_out "ALARM: there is no base backup: nothing can be restored from this WAL"
    status_json 3
    is .system_identifier "$system"
    is '.restorable | length' 0
    run_expect 3 pgcask wal status --offline
    expect_out "cluster 'main': there is no WAL of it"
}

test_what_can_be_restored()
{
    local id last

    scene window
    status_config
    next_segments 1
    run_expect 0 pgcask backup base
    id=$(latest_id)
    next_segments 2
    last=$(newest 1)
    run_expect 0 pgcask wal status
    expect_out "restorable: "
    expect_out "1 base backup, the newest $id"
    expect_out "store 'one': "
    expect_out "the newest segment $last"
    expect_no_out gap
    expect_no_out ALARM
    status_json 0
    is '.restorable | length' 1
    is '.restorable[0].base_backups[0]' "$id"
    is '.restorable[0].ends' missing
    is '.restorable[0].from_lsn' "$(jq -r .base.stop_lsn "$(backup_dir)/manifest.json")"
    is '.stores | map(.newest) | unique | .[]' "$last"
    is '.stores[0].restorable == .restorable and .stores[1].restorable == .restorable' true
    is .server.lag_segments 0
    is .server.archiver.on true
    is .server.backlog.files 0
    run_expect 0 pgcask backup base
    next_segments 1
    status_json 0
    is '.restorable | length' 1
    is '.restorable[0].base_backups | length' 2
}

test_gaps_are_told_with_their_cure()
{
    local names

    scene gaps
    status_config
    run_expect 0 pgcask backup base
    next_segments 5
    mapfile -t names < <(newest 4)
    drop_segment two "${names[1]}"
    run_expect 3 pgcask wal status --max-lag 1ms
    expect_out "  gap: ${names[1]}, 1 segment: in store 'one', 'pgcask sync' copies it"
    expect_out "ALARM: store 'two' is without 1 segment that 'one' has, the first: ${names[1]}; 'pgcask sync' copies what is missing"
    status_json 3
    is '.gaps | length' 0
    is '.stores[1].gaps[0].kind' elsewhere
    is '.restorable | length' 1
    is '.stores[1].restorable[0].ends_at' "${names[1]}"
    run_expect 0 pgcask sync # the cure
    status_json 0
    is '.stores[1].gaps | length' 0

    drop_segment two "${names[1]}"
    drop_segment one "${names[1]}"
    mv "$spool/${names[1]}" "$dir" # or it would be pushed again
    status_json 3
    is '.gaps[0].kind' lost
    is '.gaps[0].first' "${names[1]}"
    is '.restorable[0].ends_at' "${names[1]}"
    run_expect 3 pgcask wal status
    expect_out "ALARM: 1 segment is lost, the first: ${names[1]}"

    run_expect 0 pgcask backup base # a new window begins
    next_segments 1
    status_json 3
    is '.restorable | length' 2
    is '.restorable[0].ends_at' "${names[1]}"
    is '.restorable[1].base_backups | length' 1

    mv "$dir/${names[1]}" "$spool"
    push_spool
    status_json 0
    is '.gaps | length' 0
    is '.restorable | length' 1
}

test_a_segment_with_two_contents_is_told()
{
    local name key

    scene dispute
    status_config
    run_expect 0 pgcask backup base
    next_segments 3
    name=$(newest 2 | head -n 1)
    key=$(find "$dir/one/main/wal" -name "$name-*")
    cp "$key" "$(echo "$key" | sed -E 's/-[0-9a-f]{32}/-00000000000000000000000000000000/')"
    status_json 3
    is '.gaps[0].kind' disputed
    is '.restorable[0].ends' disputed
    run_expect 3 pgcask wal status
    expect_out "there with two contents"
    expect_out "did two servers archive to one place?"
}

test_a_store_that_is_behind_is_told_after_a_while()
{
    local name

    scene behind
    status_config
    run_expect 0 pgcask backup base
    next_segments 3
    for name in $(newest 2); do
        drop_segment two "$name"
    done
    status_json 0 # a minute is no lag
    is '.stores[1].behind' 2
    wait_until 10 lags
    run_expect 3 pgcask wal status --max-lag 1ms
    expect_out "ALARM: store 'two' is 2 segments behind another one"
    expect_out "  behind: 2 segments that another store has"
    sed -i "s|^\[store two\]|&\nrequired = no|" "$dir/pgcask.ini"
    run_expect 0 pgcask wal status --max-lag 1ms
    store_section three >>"$dir/pgcask.ini"
    run_expect 3 pgcask wal status
    expect_out "ALARM: required stores that do not answer: 1"
    mkdir -m 700 "$dir/three"
    run_expect 3 pgcask wal status
    expect_out "ALARM: store 'three' is empty"
    sed -i "s|^\[cluster main\]|&\nwal_stores = one two|" "$dir/pgcask.ini"
    run_expect 0 pgcask wal status
}

lags()
{
    ! pgcask wal status --max-lag 1ms
}

test_a_server_that_is_down_does_not_matter()
{
    scene down
    status_config
    run_expect 0 pgcask backup base
    next_segments 2
    run_expect 0 pgcask wal status --json
    jq -S '{restorable, gaps, stores}' "$tmp/out" >"$dir/up"
    status_config "conninfo = host=/nowhere dbname=postgres"
    run_expect 0 pgcask wal status
    expect_out "server: could not connect to PostgreSQL"
    expect_out "restorable: "
    run_expect 0 pgcask wal status --json
    jq -S '{restorable, gaps, stores}' "$tmp/out" | diff "$dir/up" -
    is .server null
    is .system_identifier "$system"
}

test_a_role_with_few_rights_sees_less()
{
    scene few
    sql postgres -c "CREATE ROLE nobody_much LOGIN"
    status_config "conninfo = host=$PGHOST port=$PGPORT user=nobody_much dbname=postgres"
    next_segments 1
    run_expect 3 pgcask wal status
    expect_out "server: PostgreSQL "
    expect_out "backlog: not known, the role is no member of pg_monitor"
    sql postgres -c "GRANT pg_monitor TO nobody_much"
    run_expect 3 pgcask wal status
    expect_out "backlog: 0 files wait to be archived; pg_wal has "
}

test_failing_archiving_and_its_backlog_are_told()
{
    scene failing
    status_config
    run_expect 0 pgcask backup base
    next_segments 1
    sql postgres -c "ALTER SYSTEM SET archive_command = 'false'" -c "SELECT pg_reload_conf()" >"$tmp/out"
    cleanup_fn archive_again
    sql postgres -c "SELECT txid_current()" -c "SELECT pg_switch_wal()" >"$tmp/out"
    wait_until 30 archiving_fails
    status_json 3 --max-lag 1ms
    is .server.backlog.files 1
    is .server.lag_segments 1
    run_expect 3 pgcask wal status
    expect_out "ALARM: archiving fails: file '"
    expect_out "backlog: 1 file waits to be archived"
}

archive_again()
{
    sql postgres -c "ALTER SYSTEM RESET archive_command" -c "SELECT pg_reload_conf()" >"$tmp/out"
    wait_until 100 spooled
}

archiving_fails()
{
    [ "$(sql postgres -c "SELECT last_failed_time > coalesce(last_archived_time, '-infinity') + '1 s' FROM pg_stat_archiver")" = t ]
}

test_a_promotion_begins_another_timeline()
{
    local id copy=$tmp/copy

    scene promoted
    status_config
    run_expect 0 pgcask backup base
    id=$(latest_id)
    next_segments 2
    unpack "$copy"
    adopt "$copy"
    rm -rf "$copy/data/pg_wal"/0*
    cat >>"$copy/data/postgresql.auto.conf" <<END
restore_command = 'cp $spool/%f %p'
archive_mode = on
archive_command = 'cp %p $spool/%f.new && mv $spool/%f.new $spool/%f'
END
    sed -i '/^archive_mode = off/d' "$copy/data/postgresql.conf"
    touch "$copy/data/recovery.signal"
    [ "$(id -u)" != 0 ] || chown --reference="$main_base/data" "$copy/data/recovery.signal"
    PG_BASE=$copy "$pg" start
    wait_until 60 copy_is_primary "$copy"
    sql_of "$copy" postgres -c "SELECT txid_current()" -c "SELECT pg_switch_wal()" >"$tmp/out"
    wait_until 30 test -e "$spool/00000002.history"
    wait_until 30 spooled_of "$copy"
    push_spool
    status_config "conninfo = host=$copy/sock port=$(cat "$copy/port") user=postgres dbname=postgres"
    status_json 0
    is .server.timeline 2
    is '.restorable | map(select(.timeline == 2)) | length' 1
    is '.restorable[] | select(.timeline == 2).base_backups[0]' "$id"
    is '.unknown | length' 0
    # a host that cannot read its own backups asks the server for the history
    sed -i '/^identity_file/d' "$dir/pgcask.ini"
    status_json 0
    is '.unknown | length' 0
    is '.restorable | map(select(.timeline == 2)) | length' 1
    # and without a server, a timeline stands for itself
    run_expect 3 pgcask wal status --offline
    expect_out "where timeline 2 comes from is not known"
}

copy_is_primary()
{
    [ "$(sql_of "$1" postgres -c 'SELECT pg_is_in_recovery()')" = f ]
}

spooled_of()
{
    [ "$(sql_of "$1" postgres -c "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")" = 0 ]
}

start_archiving_postgres
run_tests
