#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Every version of PostgreSQL there is to test with starts, takes rows, answers a client that wants to replicate,
# survives a kill, and stops. The programs come from tests/servers/postgres.sh; one that cannot be had is skipped.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires psql

# use MAJOR - fetch it when it is not there, and have tests/pg.sh take it
use()
{
    local postgres=$top/tests/servers/postgres.sh code=0

    "$postgres" setup "$1" 2>"$tmp/setup.err" || code=$?
    [ "$code" != 77 ] || skip "$(cat "$tmp/setup.err")"
    [ "$code" = 0 ] || fail "$(cat "$tmp/setup.err")"
    PG_BINDIR=$("$postgres" bindir "$1")
    export PG_BINDIR
}

sql()
{
    "$pg" psql -qAt "$@"
}

# walk MAJOR - the life of a server
walk()
{
    local major=$1 first

    use "$major"
    start_postgres
    equal "$(($(sql -c 'SHOW server_version_num') / 10000))" "$major" "version"
    sql -c 'CREATE DATABASE shop'
    PGDATABASE=shop sql -f "$top/tests/data/shop.sql"
    first=$(psql -XAt -F ' ' -d 'replication=true' -c IDENTIFY_SYSTEM)
    [[ $first =~ ^[0-9]+\ 1\ 0/[0-9A-F]+ ]] || fail "IDENTIFY_SYSTEM answers '$first'"
    equal "${first%% *}" "$(sql -c 'SELECT system_identifier FROM pg_control_system()')" "system identifier"
    "$pg" crash
    "$pg" start
    equal "$(PGDATABASE=shop sql -c 'SELECT count(*) FROM purchase')" 40000 "rows after a crash"
    "$pg" stop
    run_expect 2 psql -XAtc 'SELECT 1'
    expect_err "No such file or directory"
}

test_postgresql_13() { walk 13; }
test_postgresql_14() { walk 14; }
test_postgresql_15() { walk 15; }
test_postgresql_16() { walk 16; }
test_postgresql_17() { walk 17; }
test_postgresql_18() { walk 18; }

test_clients_come_with_the_versions_that_make_backups_of_backups()
{
    local major

    for major in 17 18; do
        use "$major"
        run_expect 0 "$PG_BINDIR/pg_combinebackup" --version
        expect_out "PostgreSQL) $major"
        run_expect 0 "$PG_BINDIR/pg_verifybackup" --version
        run_expect 0 "$PG_BINDIR/pg_waldump" --version
    done
}

test_a_version_without_a_recipe_is_refused()
{
    run_expect 1 "$top/tests/servers/postgres.sh" setup 9
    expect_err "no recipe for PostgreSQL '9', only for 13 14 15 16 17 18"
}

test_what_cannot_be_had_is_told()
{
    run_expect 77 env PGCASK_SERVERS_DIR="$tmp/servers" "$top/tests/servers/postgres.sh" bindir 14
    expect_err "call 'postgres.sh setup 14' first"
    requires npm jq
    # nobody listens there
    run_expect 77 env PGCASK_SERVERS_DIR="$tmp/servers" npm_config_registry=http://127.0.0.1:1 \
        npm_config_fetch_retries=0 "$top/tests/servers/postgres.sh" setup 14
    expect_err "PostgreSQL 14 cannot be had here: npm's registry does not give it"
    [ -z "$(find "$tmp/servers" -name '.postgresql.*')" ] || fail "scratch is left"
}

run_tests "$@"
