#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Incremental base backups, PostgreSQL 17 and 18: a chain of three is put together by PostgreSQL's own
# program and holds what the cluster held; a chain ends where it must, with a full backup.

# shellcheck disable=SC2154 # lib.sh, behind the scene, sets them
# shellcheck source=../cli/scene-base.sh
. "$(dirname "$0")/../cli/scene-base.sh"

# use MAJOR - fetch it when it is not there, start a server of it that summarizes its WAL
use()
{
    local postgres=$top/tests/servers/postgres.sh code=0

    "$postgres" setup "$1" 2>"$tmp/setup.err" || code=$?
    [ "$code" != 77 ] || skip "$(cat "$tmp/setup.err")"
    [ "$code" = 0 ] || fail "$(cat "$tmp/setup.err")"
    PG_BINDIR=$("$postgres" bindir "$1")
    export PG_BINDIR
    rm -rf "$tmp/pg"
    start_archiving_postgres
    sql postgres -c 'ALTER SYSTEM SET summarize_wal = on' -c 'SELECT pg_reload_conf()' >"$tmp/reloaded"
    load_shop
}

# parent_of_latest - "null": it is a full one
parent_of_latest()
{
    jq -r .base.parent "$(backup_dir)/manifest.json"
}

# unpack_one ID PLACE
unpack_one()
{
    local from=$dir/one/main/backup/$1

    mkdir -m 700 "$2"
    age -d -i "$dir/identity.txt" "$from/base.tar.zst.age" | zstd -dq | tar x -C "$2"
    age -d -i "$dir/identity.txt" "$from/backup_manifest.zst.age" | zstd -dq >"$2/backup_manifest"
}

chain_of_three()
{
    local place=$tmp/place-$1 ids=() id full

    scene "chain-$1"
    use "$1"
    sql postgres -c 'DROP DATABASE shop' -c 'DROP TABLESPACE bottles' -c 'CREATE DATABASE shop'
    sql shop -c "CREATE TABLE stock AS SELECT g AS id, md5(g::text) AS label FROM generate_series(1, 200000) g"
    base_config "chain_max = 2"
    for i in 1 2 3 4; do
        run_expect 0 pgcask backup
        expect_silent
        ids+=("$(latest_id)")
        [ "$i" != 3 ] || contents >"$dir/before"
        sql shop -c "UPDATE stock SET label = 'round $i' WHERE id % 1000 = $i"
        case $i in
            1 | 4) equal "$(parent_of_latest)" null "parent of backup $i" ;;
            *) equal "$(parent_of_latest)" "${ids[i - 2]}" "parent of backup $i" ;;
        esac
        next_second
    done
    full=$(du -b "$dir/one/main/backup/${ids[0]}/base.tar.zst.age" | cut -f 1)
    [ "$(du -b "$dir/one/main/backup/${ids[2]}/base.tar.zst.age" | cut -f 1)" -lt $((full / 2)) ] || fail "it is not smaller"
    run_expect 0 pgcask verify --deep --all
    run_expect 0 pgcask list
    expect_out "on top of ${ids[1]}"
    run_expect 0 pgcask show "${ids[2]}"
    expect_out "kind:        base, incremental, on top of ${ids[1]}"
    mkdir "$place"
    chmod 711 "$place"
    for id in "${ids[@]:0:3}"; do
        unpack_one "$id" "$place/$id"
    done
    run_expect 0 "$PG_BINDIR/pg_combinebackup" "$place/${ids[0]}" "$place/${ids[1]}" "$place/${ids[2]}" -o "$place/data"
    run_expect 0 "$PG_BINDIR/pg_verifybackup" "$place/data"
    mkdir -m 755 "$place/sock"
    adopt "$place"
    wake "$place"
    contents "$place" >"$dir/after"
    same "$dir/before" "$dir/after"
}

test_a_chain_of_three_on_17() { chain_of_three 17; }
test_a_chain_of_three_on_18() { chain_of_three 18; }

test_a_full_one_is_made_where_none_can_be_on_top()
{
    scene full
    use 17
    base_config "chain_max = 5"
    run_expect 0 pgcask backup
    next_second
    run_expect 0 pgcask backup
    equal "$(parent_of_latest)" "$(pgcask list --json | jq -r '.[0].id')" 'parent'

    # the list of its files is gone
    rm "$dir"/state/files-main.base
    next_second
    run_expect 0 pgcask backup
    expect_err 'as this host does not have the list of its files: making a full backup'
    equal "$(parent_of_latest)" null 'parent'

    # the one before is damaged
    next_second
    flip "$(backup_dir)/base.tar.zst.age" 70000
    run_expect 1 pgcask verify latest
    run_expect 0 pgcask backup
    expect_err 'is not good in every store of this run: making a full backup'
    equal "$(parent_of_latest)" null 'parent'

    # the server has no summaries
    sql postgres -c 'ALTER SYSTEM SET summarize_wal = off' -c 'SELECT pg_reload_conf()' >"$tmp/reloaded"
    next_second
    run_expect 0 pgcask backup
    expect_err 'making a full backup'
    expect_err 'summariz'
    equal "$(parent_of_latest)" null 'parent'
}

test_an_old_server_is_told()
{
    scene old
    unset PG_BINDIR
    rm -rf "$tmp/pg"
    start_archiving_postgres
    base_config "chain_max = 1"
    [ "$(sql postgres -c 'SHOW server_version_num')" -lt 170000 ] || skip "the installed server is 17 or later"
    run_expect 2 pgcask backup
    expect_err "job 'base' has chain_max"
    expect_err 'it came with PostgreSQL 17'
}

run_tests
