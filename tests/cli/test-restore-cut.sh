#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask restore that does not come to its end: refused rows, damage, sessions that are ended,
# signals. Nothing of it stays.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

test_prepare()
{
    scene rich
    configure <<END
$(pgcask_section "jobs = 3")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk '${cellar//\'/\'\'}'" "table_size = 96KiB")
END
    run_expect 0 pgcask backup
}

# The server refuses a row of one large table while others are on their way.
test_a_row_that_is_refused_ends_it()
{
    scene refused
    createdb refused
    sql refused -q <<<"
        CREATE FUNCTION fits(integer) RETURNS boolean LANGUAGE sql AS 'SELECT \$1 < current_setting(''refused.most'', true)::int';
        SET refused.most = 1000000;
        CREATE TABLE a (n integer CHECK (public.fits(n)), filler text);
        CREATE TABLE b (n integer, filler text);
        INSERT INTO a SELECT i, repeat('x', 100) FROM generate_series(1, 3000) i;
        INSERT INTO b SELECT i, repeat('y', 100) FROM generate_series(1, 3000) i;"
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = refused" "table_size = 64KiB")
END
    run_expect 0 pgcask backup
    databases >"$dir/before"
    run_expect 0 pgcask restore latest --into taken # without the setting the check gives null, which passes
    equal "$(sql taken -c 'SELECT count(*) FROM a')" 3000
    dropdb taken
    export PGOPTIONS='-c refused.most=2000'
    run_expect 1 pgcask restore latest --into taken
    unset PGOPTIONS
    expect_err "member 'refused.public.a.dump'"
    expect_err "violates check constraint"
    unchanged "$dir/before"
    dropdb refused
}

# Behind what is read to learn what a member is, when half of its rows are on their way.
test_damage_in_the_middle_of_a_table_fails_the_restore()
{
    local object

    scene middle
    createdb middle
    sql middle -qc "CREATE TABLE noise AS SELECT md5(i::text) || md5((-i)::text) AS bits FROM generate_series(1, 60000) i"
    simple_config "databases = middle" "table_size = 64KiB"
    run_expect 0 pgcask backup
    databases >"$dir/before"
    object=$(backup_dir)/middle.public.noise.dump.zst.age
    [ "$(stat -c %s "$object")" -gt 1000000 ]
    flip "$object" $(($(stat -c %s "$object") / 2))
    run_expect 1 pgcask restore latest --into never
    expect_err "$(basename "$object")': "
    unchanged "$dir/before"
    dropdb middle
}

# start_cut_restore [DATABASE] - helpdesk into `cut`, stopped in the middle of its rows; $bg_pid
start_cut_restore()
{
    of_scene rich
    databases >"$dir/before"
    configure "$dir/gated.ini" <<END
$(pgcask_section "jobs = 2")
$(cluster_section "exec = $(gate_within pg_restore --section=data)")
$(store_section one)
$(job_section daily "databases = helpdesk")
END
    start_bg pgcask -c "$dir/gated.ini" restore latest -d "${1:-helpdesk}" --into cut 2>"$dir/err"
    wait_until 60 test -e "$dir/arrived"
    never db_exists cut
}

# end_sessions WHERE - how many there were
end_sessions()
{
    sql postgres -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE $1"
}

# prepare_slow TABLE_SIZE - a backup of `slow`, whose one table takes 10 minutes to load in sessions with slow.on = 1
prepare_slow()
{
    scene slow
    createdb slow
    sql slow -q <<<"
        CREATE FUNCTION calm(integer) RETURNS boolean LANGUAGE plpgsql AS \$\$
            BEGIN
                IF \$1 = 2000 AND current_setting('slow.on', true) = '1' THEN PERFORM pg_sleep(600); END IF;
                RETURN true;
            END \$\$;
        CREATE TABLE load (n integer CHECK (public.calm(n)), filler text);
        INSERT INTO load SELECT i, repeat('x', 100) FROM generate_series(1, 3000) i;"
    simple_config "databases = slow" "table_size = $1"
    run_expect 0 pgcask backup
    dropdb slow
    databases >"$dir/before"
}

# start_slow_restore - into `cut`; comes back when a row is being waited for, by $bg_pid
start_slow_restore()
{
    PGOPTIONS='-c slow.on=1' start_bg pgcask restore latest --into cut 2>"$dir/err"
    wait_until 60 sleeping
}

sleeping()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'cut.restoring.%' AND wait_event = 'PgSleep'")" = 1 ]
}

# Rows that go straight into their table, and rows that pg_restore loads.
test_a_restore_whose_session_is_ended_leaves_nothing()
{
    local size

    for size in 64KiB 1GiB; do
        prepare_slow "$size"
        start_slow_restore
        equal "$(end_sessions "wait_event = 'PgSleep'")" 1
        ended "$bg_pid"
        equal "$code" 1 "exit code"
        grep -q "^ERROR: member 'slow.*terminating connection due to administrator command" "$dir/err" || fail "$(cat "$dir/err")"
        unchanged "$dir/before"
        ok "with table_size = $size"
    done
}

test_a_restore_that_is_stopped_among_rows_leaves_nothing()
{
    local size

    for size in 64KiB 1GiB; do
        prepare_slow "$size"
        start_slow_restore
        kill -TERM "$bg_pid"
        wait_gone 30 "$bg_pid"
        ended "$bg_pid"
        equal "$code" 1 "exit code"
        equal "$(cat "$dir/err")" "ERROR: stopped by a signal"
        unchanged "$dir/before"
        ok "with table_size = $size"
    done
}

test_a_restore_whose_own_connection_is_ended_leaves_nothing()
{
    start_cut_restore "$cellar" # it has a subscription, which is no reason to leave it either
    [ "$(end_sessions "application_name = 'pgcask' AND datname = 'postgres' AND pid <> pg_backend_pid()")" != 0 ]
    touch "$dir/open"
    ended "$bg_pid"
    equal "$code" 1 "exit code"
    grep -q '^ERROR: ' "$dir/err"
    unchanged "$dir/before"
}

test_a_restore_that_is_stopped_leaves_nothing()
{
    start_cut_restore "$cellar"
    kill -TERM "$bg_pid"
    wait_gone 30 "$bg_pid"
    ended "$bg_pid"
    equal "$code" 1 "exit code"
    touch "$dir/open"
    equal "$(cat "$dir/err")" "ERROR: stopped by a signal"
    unchanged "$dir/before"
}

test_a_restore_that_was_killed_shows_what_it_left()
{
    start_cut_restore
    kill -KILL "$bg_pid"
    touch "$dir/open"
    wait_gone 30 "$bg_pid"
    never db_exists cut
    equal "$(databases | diff "$dir/before" - | grep -c '^[<>]')" 1 "databases more"
    databases | grep -Eq '^cut\.restoring\.[0-9a-f]{8}$'
    run_expect 0 pgcask restore latest -d helpdesk --into cut
    run_expect 0 "$top/tests/compare-db.sh" helpdesk cut
    dropdb cut
    dropdb --force "$(databases | grep '^cut\.restoring\.')"
}

start_postgres
load_rich_data
run_tests
