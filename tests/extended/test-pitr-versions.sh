#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Point-in-time recovery with every version of PostgreSQL there is to test with, and from 17 on out of a chain of
# incremental backups, compared with what the server had and with PostgreSQL's own look at the files.

# shellcheck source=../cli/scene-pitr.sh
. "$(dirname "$0")/../cli/scene-pitr.sh"

# use MAJOR - fetch it when it is not there, and have tests/pg.sh take it
use()
{
    # shellcheck disable=SC2154 # lib.sh sets top
    local postgres=$top/tests/servers/postgres.sh code=0

    "$postgres" setup "$1" 2>"$tmp/setup.err" || code=$?
    [ "$code" != 77 ] || skip "$(cat "$tmp/setup.err")"
    [ "$code" = 0 ] || fail "$(cat "$tmp/setup.err")"
    PG_BINDIR=$("$postgres" bindir "$1")
    export PG_BINDIR
}

# all_of_it MAJOR - the tests of tests/cli, with that server
all_of_it()
{
    local code=0

    use "$1"
    PGCASK_BUILD=$build "$top/tests/cli/test-pitr.sh" >"$tmp/log" 2>&1 || code=$?
    [ "$code" = 0 ] || { grep -v '^ok' "$tmp/log" >&2 || :; fail "exit code $code"; }
}

test_postgresql_13() { all_of_it 13; }
test_postgresql_14() { all_of_it 14; }
test_postgresql_16() { all_of_it 16; }
test_postgresql_17() { all_of_it 17; }
test_postgresql_18() { all_of_it 18; }

contents() # [COPY]
{
    local query="SELECT count(*), sum(hashtext(a::text)::bigint), (SELECT count(*) FROM shrunk), to_regclass('gone') FROM a"

    if [ $# = 0 ]; then sql postgres -c "$query"; else copy_sql "$1" -c "$query"; fi
}

# chain MAJOR - a full backup and three on top of it
chain()
{
    local wanted

    use "$1"
    # of the test alone: the file's own directories are those of the tests before
    chmod 711 "$tmp"
    tmp=$tmp/chain-$1
    mkdir -m 711 "$tmp"
    start_archiving_postgres
    scene_pitr main
    sed -i 's/^kind = base/&\nchain_max = 3/' "$dir/pgcask.ini"
    sql postgres -c "ALTER SYSTEM SET summarize_wal = on" -c "SELECT pg_reload_conf()" >/dev/null
    sql postgres -c "CREATE TABLE a AS SELECT g, repeat('x', 100) AS t FROM generate_series(1, 100000) g" \
        -c "CREATE TABLE gone AS SELECT 1" -c "CREATE TABLE shrunk AS SELECT generate_series(1, 50000) AS n"
    run_expect 0 on_server backup base
    sql postgres -c "UPDATE a SET t = 'y' WHERE g % 1000 = 0" -c "DROP TABLE gone" -c "DELETE FROM shrunk WHERE n > 100" \
        -c "VACUUM shrunk"
    run_expect 0 on_server backup base
    sql postgres -c "INSERT INTO shrunk SELECT generate_series(101, 5000)" -c "CREATE DATABASE other"
    run_expect 0 on_server backup base
    sql postgres -c "UPDATE a SET t = 'z' WHERE g BETWEEN 500 AND 600" -c "DROP DATABASE other"
    wanted=$(contents)
    run_expect 0 on_server backup base
    sql postgres -c "DELETE FROM a"
    archive_now
    equal "$(on_server list --json | jq length)" 4 "backups"
    restore_copy chain --target immediate --target-action promote
    verify_files chain
    [ -z "$(find "$(copy_data chain)" -name 'INCREMENTAL.*')" ] || fail "there are files of increments"
    wake_copy chain
    equal "$(contents chain)" "$wanted" "contents"
    PGHOST=$tmp/copy-chain/sock PGPORT=$(cat "$tmp/copy-chain/port") as_server "$server_bin/pg_amcheck" --all --install-missing
    copy_sql chain -c "UPDATE a SET t = 'other'"
    stop_copy chain
    run_expect 0 on_server restore latest --data-dir "$(copy_data chain)" --delta --target immediate --target-action promote
    verify_files chain
    echo "unix_socket_directories = '$tmp/copy-chain/sock'" >>"$(copy_data chain)/postgresql.conf"
    wake_copy chain
    equal "$(contents chain)" "$wanted" "contents after --delta"
    # without its middle it is of no use
    find "$dir/one/main/backup" -mindepth 1 -maxdepth 1 | sort | sed -n 2p | xargs rm -r
    new_place first
    run_expect 0 on_server restore latest --data-dir "$(copy_data first)" --target immediate
    expect_err "which is not there, passing over backup '"
    wake_copy first
    equal "$(copy_sql first -c "SELECT count(*) FROM a WHERE t = 'y'")" 0 "rows of the later backups"
}

test_a_chain_of_increments_17() { chain 17; }
test_a_chain_of_increments_18() { chain 18; }

run_tests "$@"
