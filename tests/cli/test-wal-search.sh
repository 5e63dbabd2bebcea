#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask wal search`: accidents done to tables of a real server are found in its archived WAL, and the target that is
# printed brings back the state before.

# shellcheck source=scene-base.sh
. "$(dirname "$0")/scene-base.sh"

# search_scene NAME - a scene, a base backup, and tables before the accident
search_scene()
{
    scene "$1"
    base_config
    run_expect 0 pgcask backup base
    sql postgres -c "DROP SCHEMA IF EXISTS cellar CASCADE" -c "CREATE SCHEMA cellar" 2>"$tmp/err"
    sql postgres -c "CREATE TABLE cellar.cask (id int PRIMARY KEY, label text)" \
        -c "INSERT INTO cellar.cask SELECT g, 'cask ' || g FROM generate_series(1, 1000) g" \
        -c "CREATE TABLE cellar.other AS SELECT g AS id FROM generate_series(1, 500) g"
    cask=$(sql postgres -c "SELECT 'cellar.cask'::regclass::oid")
    began=$(sql postgres -c 'SELECT pg_current_wal_lsn()')
}

# done_by SQL… - run it as one transaction; $xid is its number
done_by()
{
    xid=$(sql postgres -1 -c "SELECT txid_current()" "$@")
}

# archive_wal - all up to now is in the store
archive_wal()
{
    sql postgres -c "SELECT txid_current()" -c "SELECT pg_switch_wal()" >"$tmp/lsn"
    wait_until 30 all_spooled
    push_spool
}

all_spooled()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")" = 0 ]
}

# wal_search [OPTION…] - with the programs of the server's own version
wal_search()
{
    pgcask wal search ${PG_BINDIR+--bindir "$PG_BINDIR"} "$@"
}

# search [OPTION…] - as JSON
search()
{
    run_expect 0 wal_search --json --from "$began" "$@"
    [ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'pgcask-search.*' -newer "$dir/pgcask.ini" 2>/dev/null)" ] ||
        fail "the segments were not removed"
}

# found - "kind xid rows" of each finding
found()
{
    jq -r '.findings[] | "\(.kind) \(.xid) \(.rows)"' "$tmp/out"
}

test_each_accident_is_found()
{
    local wanted=

    search_scene each
    done_by -c "DELETE FROM cellar.cask WHERE id <= 300"
    wanted="deleted $xid 300"
    done_by -c "UPDATE cellar.cask SET label = 'oops'"
    wanted="$wanted|updated $xid 700"
    sql postgres -c "DELETE FROM cellar.cask WHERE id = 999" -c "VACUUM FULL cellar.cask" # a row is daily work
    done_by -c "DELETE FROM cellar.cask WHERE id <= 600"
    wanted="$wanted|rewritten|deleted $xid 300"
    done_by -c "SAVEPOINT a" -c "DELETE FROM cellar.cask WHERE id <= 750" -c "RELEASE a" -c "SAVEPOINT b" \
        -c "DELETE FROM cellar.cask" -c "ROLLBACK TO b"
    wanted="$wanted|deleted $xid 150"
    done_by -c "TRUNCATE cellar.cask, cellar.other"
    wanted="$wanted|truncated $xid 0"
    done_by -c "TRUNCATE cellar.cask" -c "INSERT INTO cellar.cask VALUES (1, 'new'), (2, 'new')"
    wanted="$wanted|truncated $xid 2"
    done_by -c "DROP TABLE cellar.other"
    archive_wal
    search --table cellar.cask
    equal "$(found | sed 's/^rewritten .*/rewritten/' | paste -sd '|')" "$wanted" "what was found"
    equal "$(jq -r '.findings | map(.sure) | all' "$tmp/out")" true
    search --table cask --min-rows 600 # the name alone will do
    equal "$(found | grep -cE '^(deleted|updated)')" 1
}

test_the_table_is_brought_back()
{
    local target place=$tmp/back owner=()

    [ "$(id -u)" != 0 ] || owner=(--owner "$(stat -c %U "$main_base/data")")
    search_scene back
    done_by -c "INSERT INTO cellar.cask VALUES (5000, 'the last one')"
    done_by -c "DROP TABLE cellar.cask"
    sql postgres -c "INSERT INTO cellar.other VALUES (0)"
    archive_wal
    search --table cellar.cask
    equal "$(jq -r .exists "$tmp/out")" false
    equal "$(jq -r ".findings[] | select(.oids[0] == $cask).xid" "$tmp/out")" "$xid"
    search --table cellar.cask --oid "$cask"
    equal "$(found)" "dropped $xid 0"
    run_expect 0 wal_search --table cellar.cask --oid "$cask" --from "$began"
    expect_out "pgcask restore latest --data-dir DIR --target-xid $xid --exclusive --target-timeline 1"
    # what is printed is a command
    # shellcheck disable=SC2046 # words
    run_expect 0 $(sed -n "s|^ *\(pgcask restore latest --data-dir\) DIR|\1 $dir/copy|p" "$tmp/out") "${owner[@]}"
    run_expect 0 wal_search --table cellar.cask --oid "$cask" --from "$began"
    target=$(sed -n 's/.*--target-xid \([0-9]*\) --exclusive.*/\1/p' "$tmp/out")
    unpack "$place"
    cat >>"$place/data/postgresql.auto.conf" <<END
restore_command = 'cp $spool/%f %p'
recovery_target_xid = '$target'
recovery_target_inclusive = off
recovery_target_action = promote
END
    touch "$place/data/recovery.signal"
    adopt "$place"
    PG_BASE=$place "$pg" start
    wait_until 60 recovered "$place"
    equal "$(sql_of "$place" postgres -c 'SELECT count(*), max(id) FROM cellar.cask')" "1001|5000" "what is back"
    equal "$(sql_of "$place" postgres -c 'SELECT count(*) FROM cellar.other')" 500 "what came later"
}

recovered()
{
    [ "$(sql_of "$1" postgres -c 'SELECT pg_is_in_recovery()')" = f ]
}

test_a_database_that_was_dropped_is_found()
{
    search_scene database
    sql postgres -c "CREATE DATABASE doomed"
    sql doomed -c "CREATE TABLE t (a int)"
    local oid
    oid=$(sql postgres -c "SELECT oid FROM pg_database WHERE datname = 'doomed'")
    sql postgres -c "DROP DATABASE doomed"
    archive_wal
    search --table t --database doomed
    equal "$(jq -r '.findings[0].kind' "$tmp/out")" database
    equal "$(jq -r '.findings[0].target' "$tmp/out" | sed 's/[0-9A-F]*\/[0-9A-F]*/LSN/')" "--target-lsn LSN --exclusive"
    equal "$(jq -r '.notes[0]' "$tmp/out")" "the server has no database 'doomed'"
    search --table t --database doomed --oid 16400 --database-oid "$oid"
    equal "$(jq -r '.findings | length' "$tmp/out")" 1
}

test_only_what_was_asked_for_is_told()
{
    local first middle

    search_scene edges
    done_by -c "DELETE FROM cellar.cask WHERE id <= 200"
    first=$xid
    archive_wal
    middle=$(sql postgres -c "SELECT clock_timestamp()")
    done_by -c "DELETE FROM cellar.cask WHERE id <= 400"
    archive_wal
    search --table cask --to "$middle"
    equal "$(found)" "deleted $first 200"
    run_expect 0 wal_search --json --table cask --from "$middle"
    equal "$(found)" "deleted $xid 200"
    run_expect 0 wal_search --json --table cask --from 1h
    equal "$(found | grep -c ^deleted)" 2
    search --table cask --to "$(sql postgres -c 'SELECT pg_current_wal_lsn()')"
    equal "$(found | grep -c ^deleted)" 2
    run_expect 0 wal_search --table cask --from "$(sql postgres -c 'SELECT pg_current_wal_lsn()')"
    expect_out "nothing was found"
    run_expect 2 wal_search --table cask --from "2026-11-22 13:00:00"
    expect_err "--from: "
}

test_what_is_not_archived_is_found_in_its_directory()
{
    search_scene local
    archive_wal
    done_by -c "DELETE FROM cellar.cask"
    search --table cask
    equal "$(found)" ""
    search --table cask --wal-dir "$main_base/data/pg_wal"
    equal "$(found)" "deleted $xid 1000"
}

test_a_gap_is_told()
{
    local name

    search_scene gap
    archive_wal
    archive_wal
    name=$(find "$spool" -type f | sed 's|.*/||' | grep -xE '[0-9A-F]{24}' | sort | tail -n 1)
    done_by -c "DELETE FROM cellar.cask"
    archive_wal
    find "$dir/one/main/wal" -name "$name-*" -delete
    search --table cask
    equal "$(found)" "deleted $xid 1000"
    equal "$(jq -r '.notes[0]' "$tmp/out")" "not looked through, for it is in no store: $name"
}

test_a_server_that_is_down_needs_numbers()
{
    local database

    search_scene down
    database=$(sql postgres -c "SELECT oid FROM pg_database WHERE datname = 'postgres'")
    done_by -c "DELETE FROM cellar.cask"
    archive_wal
    sed -i 's/^conninfo = .*/conninfo = host=\/nowhere dbname=postgres/' "$dir/pgcask.ini"
    run_expect 2 wal_search --table cellar.cask
    expect_err "which numbers has table 'cellar.cask'"
    expect_err "give --oid and --database-oid"
    search --table cellar.cask --oid "$cask" --database-oid "$database"
    equal "$(found)" "deleted $xid 1000"
}

test_a_younger_table_of_the_name_is_no_excuse()
{
    search_scene younger
    done_by -c "DROP TABLE cellar.cask"
    sql postgres -c "CREATE TABLE cellar.cask (id int)"
    archive_wal
    search --table cellar.cask
    equal "$(jq -r .exists "$tmp/out")" true
    equal "$(jq -r ".findings[] | select(.oids[0] == $cask) | .xid" "$tmp/out")" "$xid"
    run_expect 0 wal_search --table cellar.cask --from "$began"
    expect_out "an earlier one of that name may be among those dropped before"
}

test_what_cannot_be_looked_for_is_refused()
{
    search_scene refused
    archive_wal
    run_expect 2 wal_search
    expect_err "which table?"
    run_expect 2 wal_search --table cask --min-rows none
    expect_err "--min-rows: 'none' is no number of rows"
    run_expect 2 wal_search --table cask --oid x
    expect_err "--oid: "
    run_expect 2 wal_search --table 'a.b.c.d.e'
    expect_err "'a.b.c.d.e' is not the name of a table"
    sql postgres -c "CREATE TABLE public.cask ()"
    cleanup_fn sql postgres -c "DROP TABLE public.cask"
    run_expect 2 wal_search --table cask
    expect_err "'cask' is the name of 2 tables, among them cellar.cask and public.cask"
    mkdir "$dir/empty"
    run_expect 2 wal_search --table cellar.cask --bindir "$dir/empty"
    expect_err "pg_waldump of PostgreSQL "
    run_expect 1 wal_search --table cellar.cask --timeline 7
    expect_err "there is no WAL of timeline 7"
}

start_archiving_postgres
run_tests
