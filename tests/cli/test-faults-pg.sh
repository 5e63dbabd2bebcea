#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# PostgreSQL in trouble: exit 1 with the reason in words, no backup appears, and the next run works.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# no_backup - the store is as before there were any
no_backup()
{
    [ ! -e "$dir/one" ] || nothing_but_the_label
}

# next_run_works - with the plain config
next_run_works()
{
    simple_config "databases = bulk"
    run_expect 0 pgcask backup
    expect_silent
    equal "$(find "$dir/one/main" -mindepth 2 -maxdepth 2 -type d | wc -l)" 1 "directories of backups"
    equal "$(find "$dir/one" -path '*lease*')" "" leases
    run_expect 0 pgcask verify --deep
}

test_a_server_that_is_down()
{
    scene down
    simple_config "databases = bulk"
    "$pg" stop
    run_expect 1 pgcask backup
    expect_err "ERROR: could not connect to PostgreSQL: "
    expect_err "HINT: is the server running, and are host and port in conninfo right?"
    [ "$(wc -l <"$tmp/err")" = 2 ]
    no_backup
    "$pg" start
    next_run_works
    "$pg" stop
    run_expect 0 pgcask list
    run_expect 0 pgcask verify --deep
    run_expect 1 pgcask restore latest --into x
    expect_err "ERROR: could not connect to PostgreSQL: "
    "$pg" start
}

test_a_wrong_password()
{
    scene password
    (umask 077 && echo wrong >"$dir/password")
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=127.0.0.1 port=$PGPORT user=postgres dbname=postgres" "password_file = $dir/password")
$(store_section one)
$(job_section daily "databases = bulk")
END
    run_expect 1 pgcask backup
    expect_err 'password authentication failed for user "postgres"'
    expect_err "HINT: check user and password of the cluster"
    no_backup
    sed -i '/^password_file/d' "$dir/pgcask.ini"
    run_expect 1 pgcask backup
    expect_err "no password supplied"
    expect_err "HINT: check user and password of the cluster"
    echo cooper >"$dir/password"
    sed -i "/^conninfo/a password_file = $dir/password" "$dir/pgcask.ini"
    run_expect 0 pgcask backup
}

test_a_password_file_of_libpq_serves_too()
{
    scene pgpass
    (umask 077 && echo "127.0.0.1:*:*:postgres:cooper" >"$dir/.pgpass")
    export PGPASSFILE=$dir/.pgpass
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=127.0.0.1 port=$PGPORT user=postgres dbname=postgres")
$(store_section one)
$(job_section daily "databases = small")
END
    run_expect 0 pgcask backup
    run_expect 0 pgcask restore latest --into small2
    dropdb small2
}

test_a_table_that_may_not_be_read()
{
    scene permission
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=$PGHOST port=$PGPORT user=reader dbname=small")
$(store_section one)
$(job_section daily "databases = small" "settings_files = no")
END
    run_expect 1 pgcask backup
    expect_err "permission denied for table vault"
    expect_err "database 'small'"
    expect_err "pg_dump"
    no_backup
    sql small -c 'GRANT SELECT ON vault TO reader'
    run_expect 0 pgcask backup
}

test_a_large_table_that_may_not_be_read()
{
    scene permission2
    sql bulk -c 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader' -c 'REVOKE SELECT ON event_log FROM reader'
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=$PGHOST port=$PGPORT user=reader dbname=postgres")
$(store_section one)
$(job_section daily "databases = bulk" "settings_files = no")
END
    run_expect 1 pgcask backup
    expect_err "permission denied for table event_log"
    no_backup
}

test_a_database_that_is_not_there()
{
    scene missing
    simple_config "databases = bulk nowhere"
    run_expect 1 pgcask backup
    expect_err "ERROR: database 'nowhere': "
    expect_err 'database "nowhere" does not exist'
    expect_err "HINT: check dbname and user in conninfo, and databases of the job"
    no_backup
    next_run_works
}

test_a_table_that_stays_locked()
{
    scene locked
    configure <<END
$(pgcask_section)
$(cluster_section "lock_timeout = 300ms")
$(store_section one)
$(job_section daily "databases = bulk")
END
    cleanup_fn nobody_in bulk
    start_bg psql -Xq -d bulk -c 'BEGIN' -c 'LOCK TABLE account' -c '\! touch '"$dir/locked" -c 'SELECT pg_sleep(600)'
    wait_until 60 test -e "$dir/locked"
    run_expect 1 pgcask backup
    expect_err "ERROR: database 'bulk': PostgreSQL refused: canceling statement due to lock timeout"
    expect_err "HINT: another session holds a table (pg_locks shows which one); lock_timeout in [cluster …] is how long to wait"
    no_backup
    wait_until 60 nobody_in bulk
    next_run_works
}

nobody_in()
{
    [ "$(sql postgres -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '$1'")" = 0 ]
}

# start_cut_backup - a backup of bulk that stands still in the middle of its main member; $bg_pid, says to $dir/err
start_cut_backup()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section "exec = $(gate_within pg_dump --section=data)")
$(store_section one)
$(job_section daily "databases = bulk" "globals = no" "settings_files = no" "table_size = 1MiB")
END
    start_bg pgcask backup >"$dir/out" 2>"$dir/err"
    wait_until 60 test -e "$dir/arrived"
}

# cut_backup_failed WORDS - it has ended with them
cut_backup_failed()
{
    ended "$bg_pid"
    equal "$code" 1 "exit code"
    grep -qF "$1" "$dir/err" || fail "it says: $(cat "$dir/err")"
    grep -q "^ERROR: database 'bulk': " "$dir/err" || fail "it says: $(cat "$dir/err")"
    equal "$(count_backups)" 0 "backups"
    no_backup
}

test_a_server_that_dies_during_the_dump()
{
    scene crash
    start_cut_backup
    "$pg" crash
    touch "$dir/open"
    cut_backup_failed "pg_dump"
    "$pg" start
    next_run_works
}

test_a_session_of_pg_dump_that_is_ended()
{
    scene session
    start_cut_backup
    [ "$(sql postgres -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                          WHERE datname = 'bulk' AND query LIKE 'COPY %'")" != 0 ]
    touch "$dir/open"
    cut_backup_failed "pg_dump"
    next_run_works
}

test_the_snapshot_that_is_lost()
{
    scene snapshot
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $(gate pg_dump)")
$(store_section one)
$(job_section daily "databases = bulk" "globals = no" "settings_files = no" "table_size = 1MiB")
END
    start_bg pgcask backup >"$dir/out" 2>"$dir/err"
    wait_until 60 test -e "$dir/arrived"
    sql postgres -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bulk'" -o "$dir/ended"
    wait_until 60 nobody_in bulk
    touch "$dir/open"
    cut_backup_failed "snapshot"
    next_run_works
}

# children_with PID WORD - pids of its children that have WORD in their command line
children_with()
{
    local stat pid parent

    for stat in /proc/[0-9]*/status; do
        pid=${stat#/proc/}
        pid=${pid%/status}
        parent=$(awk '/^PPid:/ { print $2 }' "$stat" 2>/dev/null) || continue
        [ "$parent" != "$1" ] || ! grep -aqF -e "$2" "/proc/$pid/cmdline" || echo "$pid"
    done
}

test_a_pg_dump_that_is_killed()
{
    scene oom
    start_cut_backup
    # shellcheck disable=SC2046 # a list of pids
    kill -KILL $(children_with "$bg_pid" "$dir/gate")
    touch "$dir/open"
    cut_backup_failed "ended by signal 9"
    next_run_works
}

test_programs_that_are_missing_or_too_old()
{
    scene tools
    mkdir "$dir/bin"
    configure <<END
$(pgcask_section)
$(cluster_section "bindir = $dir/bin")
$(store_section one)
$(job_section daily "databases = small")
END
    run_expect 2 pgcask backup
    expect_err "could not start '$dir/bin/pg_dump': No such file or directory"
    expect_err "HINT: install PostgreSQL's client programs of major version "
    printf '#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n' >"$dir/bin/pg_dump"
    chmod 755 "$dir/bin/pg_dump"
    run_expect 2 pgcask backup
    expect_err "'$dir/bin/pg_dump' is version 9.6.24, older than the server's "
    printf '#!/bin/sh\necho "hello"\n' >"$dir/bin/pg_dump"
    run_expect 2 pgcask backup
    expect_err "'$dir/bin/pg_dump' does not tell its version: it says 'hello"
    no_backup
}

# Names of tables reach pg_dump in the encoding of their database.
# shellcheck disable=SC2016 # SQL
test_names_in_another_encoding_are_found()
{
    scene latin
    createdb -T template0 -E LATIN1 --locale C latin
    PGCLIENTENCODING=UTF8 sql latin -q <<<'
        CREATE TABLE "gehälter" (n integer);
        INSERT INTO "gehälter" VALUES (1);
        CREATE TABLE "große" AS SELECT i, repeat($$x$$, 100) FROM generate_series(1, 3000) i;'
    simple_config "databases = latin" "exclude_tables = public.gehälter" "table_size = 64KiB"
    run_expect 0 pgcask backup
    run_expect 0 pgcask restore "$(latest_id)" -d latin --into latin_2
    equal "$(PGCLIENTENCODING=UTF8 sql latin_2 -c "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace")" "große"
    equal "$(PGCLIENTENCODING=UTF8 sql latin_2 -c 'SELECT count(*) FROM "große"')" 3000
    dropdb latin
    dropdb latin_2
}

start_postgres
createdb bulk
createdb small
psql -Xq -v mib=24 -d bulk -f "$top/tests/data/bulk.sql"
sql small -c 'CREATE TABLE vault AS SELECT 1 AS a' -c 'CREATE ROLE reader LOGIN' -c 'REVOKE ALL ON vault FROM PUBLIC'
run_tests
