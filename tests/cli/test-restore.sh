#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask restore of whole databases: what comes back is what was, and nothing that stands is
# touched.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# One backup of the three rich databases serves the tests that only read; `table_size` splits the larger tables off.
test_prepare()
{
    scene rich
    configure <<END
$(pgcask_section "jobs = 3")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk western '${cellar//\'/\'\'}'" "table_size = 96KiB")
[check tickets]
query = SELECT state, count(*), max(title) FROM ticket GROUP BY 1 ORDER BY 1
database = helpdesk
[check vintages]
; found only through the search_path that the database itself sets
query = SELECT count(*), sum(year) FROM vintage
database = "${cellar//\"/\\\"}"
END
    run_expect 0 pgcask backup
    [ "$(jq '[.members[] | select(.role == "table")] | length' "$(backup_dir)/manifest.json")" -ge 5 ]
}

test_each_rich_database_comes_back_identical()
{
    local db

    of_scene rich
    for db in helpdesk western "$cellar"; do
        run_expect 0 pgcask restore latest --database "$db" --into "$db 2"
        equal "$(cat "$tmp/out")" "$db 2" "what restore prints"
        [ ! -s "$tmp/err" ]
        run_expect 0 "$top/tests/compare-db.sh" "$db" "$db 2"
        drop_database "$db 2"
        ok "restore of $db"
    done
}

# Rows of a member of its own are as VACUUM FREEZE leaves them: no vacuum has to write them again.
test_large_tables_come_back_frozen()
{
    local table

    of_scene rich
    run_expect 0 pgcask restore latest -d helpdesk --into frozen
    sql frozen -qc 'CREATE EXTENSION pg_visibility'
    jq -r '.members[] | select(.role == "table" and .database == "helpdesk") | "\(.schema).\(.table)"' \
        "$(backup_dir)/manifest.json" >"$dir/tables"
    [ -s "$dir/tables" ]
    while read -r table; do
        equal "$(sql frozen -c "SELECT bool_and(all_frozen) FROM pg_visibility_map('$table')")" t "$table"
    done <"$dir/tables"
    dropdb frozen
}

# What pg_restore does right by adding rows in the server's own session: they go in as it puts them.
test_large_tables_go_in_as_pg_restore_puts_them()
{
    scene odd
    createdb odd
    sql odd -qc "ALTER DATABASE odd SET timezone = 'Asia/Tokyo'"
    # a check that is true in one time zone only; an owner that may not empty its table
    sql odd -q <<<"
        CREATE TABLE event (at timestamptz, day date CHECK (at::date = day));
        INSERT INTO event SELECT now() + i * interval '1 hour', (now() + i * interval '1 hour')::date FROM generate_series(1, 4000) i;
        CREATE TABLE word (list text[]);
        INSERT INTO word VALUES (ARRAY['NULL', NULL]);
        CREATE ROLE keeper LOGIN;
        ALTER ROLE keeper SET array_nulls = off;
        ALTER TABLE word OWNER TO keeper;
        CREATE SCHEMA audit AUTHORIZATION keeper;
        SET ROLE keeper;
        CREATE TABLE audit.entry (n bigserial, what text);
        INSERT INTO audit.entry (what) SELECT repeat('x', 100) FROM generate_series(1, 3000);
        REVOKE TRUNCATE, UPDATE, DELETE ON audit.entry FROM keeper;
        RESET ROLE;
        GRANT CREATE ON DATABASE odd TO keeper;
        ALTER DATABASE odd OWNER TO keeper;
        ALTER TABLE event OWNER TO keeper;
        ALTER ROLE keeper CREATEDB;"
    export PGOPTIONS="-c timezone=Asia/Tokyo"
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = odd" "table_size = 64KiB")
END
    run_expect 0 pgcask backup
    run_expect 0 pgcask -v -v restore latest --into odd_2 --conninfo "host=$PGHOST port=$PGPORT user=keeper dbname=postgres"
    expect_err "permission denied for table entry: loading it by pg_restore"
    unset PGOPTIONS
    equal "$(sql odd_2 -c 'SELECT count(*), max(n) FROM audit.entry')" '3000|3000'
    equal "$(sql odd_2 -c "SELECT nextval('audit.entry_n_seq')")" 3001
    equal "$(sql odd_2 -c 'SELECT count(*) FROM event')" 4000
    equal "$(sql odd_2 -c 'SELECT list[2] IS NULL FROM word')" t
    drop_database odd_2
    drop_database odd
    sql postgres -qc 'DROP ROLE keeper'
}

# Rows that a CHECK wants to see in another table are there in the end, whatever is loaded first.
test_tables_that_look_at_each_other_come_back()
{
    scene looks
    createdb looks
    sql looks -q <<<"
        CREATE TABLE a (n integer, filler text);
        CREATE TABLE b (n integer, filler text);
        CREATE FUNCTION others(regclass) RETURNS boolean LANGUAGE plpgsql AS \$\$
            DECLARE found boolean;
            BEGIN EXECUTE format('SELECT EXISTS (SELECT FROM %s)', \$1) INTO found; RETURN found; END \$\$;
        INSERT INTO a SELECT i, repeat('x', 200) FROM generate_series(1, 3000) i;
        INSERT INTO b SELECT i, repeat('y', 100) FROM generate_series(1, 3000) i;
        CREATE TABLE small AS SELECT 1 AS n;
        ALTER TABLE a ADD CHECK (public.others('public.b'));
        ALTER TABLE b ADD CHECK (public.others('public.small'));"
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = looks" "table_size = 64KiB")
END
    run_expect 0 pgcask backup
    run_expect 0 pgcask restore latest --into looks_2
    run_expect 0 "$top/tests/compare-db.sh" looks looks_2
    dropdb looks
    dropdb looks_2
}

test_a_restore_tells_its_steps_with_v()
{
    of_scene rich
    run_expect 0 pgcask -v restore latest -d helpdesk --into told --analyze
    expect_err "INFO: check 'tickets': as when the backup was made"
    [ "$(sql told -c "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'ticket'")" = t ]
    dropdb told
}

test_without_a_name_it_says_the_one_it_took()
{
    of_scene rich
    run_expect 0 pgcask restore latest -d western
    grep -Eqx 'western_restored_[0-9]{8}T[0-9]{6}Z' "$tmp/out"
    db_exists "$(cat "$tmp/out")"
    dropdb "$(cat "$tmp/out")"
}

test_an_existing_database_is_never_touched()
{
    of_scene rich
    databases >"$dir/before"
    run_expect 2 pgcask restore latest -d western --into helpdesk
    expect_err "'helpdesk'"
    expect_err "exists"
    expect_err "HINT: "
    run_expect 2 pgcask restore latest --into x
    expect_err "has 3 databases: which one?"
    expect_err "HINT: name one with --database"
    run_expect 2 pgcask restore latest -d helpdeks --into x
    expect_err "cluster 'main' has no full backup with database 'helpdeks'"
    run_expect 2 pgcask restore "$(latest_id)" -d helpdeks --into x
    expect_err "has no database 'helpdeks' (it has '"
    run_expect 2 pgcask restore 20200101T000000Z-daily --into x
    expect_err "cluster 'main' has no backup '20200101T000000Z-daily'"
    run_expect 2 pgcask restore yesterday --into x
    expect_err "'yesterday' is not the id of a backup"
    run_expect 2 pgcask restore latest -d western --into "$(printf 'x%.0s' {1..64})"
    expect_err "longer than the 63 bytes"
    unchanged "$dir/before"
}

test_latest_is_the_latest_that_holds_the_database()
{
    scene jobs
    createdb apples
    createdb pears
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section apples "databases = apples" "globals = no" "settings_files = no")
$(job_section pears "databases = pears" "globals = no" "settings_files = no")
END
    run_expect 0 pgcask backup apples
    next_second
    run_expect 0 pgcask backup pears
    run_expect 0 pgcask restore latest -d apples --into apples2
    dropdb apples2
    run_expect 0 pgcask restore latest --job apples --into apples2
    run_expect 2 pgcask restore latest --job apples -d pears --into pears2
    expect_err "cluster 'main' has no full backup of job 'apples' with database 'pears'"
    run_expect 0 pgcask restore latest --into pears2
}

# globals - all that is said of the roles of the rich data
globals()
{
    pg_dumpall -g | grep -e cellarman -e agent -e auditor -e service -e Söhne | sort
}

test_a_second_server_lacks_the_roles_until_globals_are_asked_for()
{
    local db first="host=$PGHOST port=$PGPORT user=postgres" second

    of_scene rich
    globals >"$dir/globals"
    start_postgres second
    second="host=$PGHOST port=$PGPORT user=postgres"
    run_expect 1 pgcask restore latest -d helpdesk --into helpdesk --conninfo "$second dbname=postgres"
    expect_err "this server lacks roles that own or use something in the database: 'agent', 'service'"
    expect_err "HINT: --globals creates the missing roles"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database")" 3
    run_expect 0 pgcask restore latest -d western --into western --no-owner --conninfo "$second dbname=postgres"
    run_expect 0 pgcask restore latest -d helpdesk --into helpdesk --globals --conninfo "$second dbname=postgres"
    run_expect 0 "$top/tests/compare-db.sh" "$first dbname=helpdesk" "$second dbname=helpdesk"
    run_expect 0 pgcask restore latest -d "$cellar" --into cellar --globals --conninfo "$second dbname=postgres"
    # all is there; equal but for lists of roles, which stand in the order in which each server knows them
    COMPARE_LINES=40 "$top/tests/compare-db.sh" "$first dbname='${cellar//\'/\\\'}'" "$second dbname=cellar" >"$dir/differences" || :
    never grep -E '^[+-][^+-]' <(grep -v 'TO \(cellarman, auditor\|auditor, cellarman\) USING' "$dir/differences")
    never grep -E '^the (data|properties) differ' "$dir/differences"
    globals >"$dir/globals2"
    same "$dir/globals" "$dir/globals2"
    # roles that exist stay as they are
    sql postgres -c "ALTER ROLE auditor NOBYPASSRLS CONNECTION LIMIT 3"
    run_expect 0 pgcask restore latest -d western --into western2 --globals --conninfo "$second dbname=postgres"
    equal "$(sql postgres -c "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'auditor'")" 3
}

test_no_owner_gives_all_to_who_restores()
{
    of_scene rich
    run_expect 0 pgcask restore latest -d helpdesk --into mine --no-owner
    equal "$(sql mine -c "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE rolname <> 'postgres'")" 0
    equal "$(sql mine -c "SELECT count(*) FROM pg_class WHERE relname = 'ticket' AND relacl IS NOT NULL")" 0
    equal "$(sql mine -c 'SELECT count(*) FROM ticket')" 3000
    dropdb mine
}

test_a_check_that_gives_something_else_fails_the_restore()
{
    scene check
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = western")
[check clock]
query = SELECT clock_timestamp()
END
    run_expect 0 pgcask backup
    databases >"$dir/before"
    run_expect 1 pgcask restore latest --into never
    expect_err "check 'clock' gives '"
    expect_err "', when the backup was made it gave '"
    unchanged "$dir/before"
}

test_a_member_that_was_changed_fails_the_restore()
{
    local object

    scene changed
    simple_config "databases = helpdesk" "table_size = 96KiB"
    run_expect 0 pgcask backup
    databases >"$dir/before"
    for object in helpdesk.dump helpdesk.public.ticket.dump helpdesk.properties.json; do
        cp "$(backup_dir)/$object.zst.age" "$dir/kept"
        flip "$(backup_dir)/$object.zst.age" 900
        run_expect 1 pgcask restore latest --into never
        expect_err "main/backup/$(latest_id)/$object.zst.age"
        cp "$dir/kept" "$(backup_dir)/$object.zst.age"
        unchanged "$dir/before"
    done
    run_expect 0 pgcask restore latest --into whole
    dropdb whole
}

test_swap_exchanges_under_open_sessions_and_back()
{
    local kept put_aside

    scene swap
    createdb shop
    sql shop -f "$top/tests/data/shop.sql"
    createdb -T shop shop_expected
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=shop")
$(store_section one)
$(job_section daily "databases = shop")
[check customers]
query = SELECT count(*) FROM customer
END
    run_expect 0 pgcask backup
    sql shop -c 'DROP TABLE purchase_line CASCADE' -c 'CREATE TABLE since (a int)'
    start_bg psql -X -d shop -c 'SELECT pg_sleep(600)' 2>"$dir/session"
    start_bg reconnecting shop
    wait_until 60 test -e "$dir/connected"
    run_expect 0 pgcask restore latest --swap
    { read -r name && read -r kept; } <"$tmp/out"
    equal "$name" shop
    [[ $kept =~ ^shop_before_[0-9]{8}T[0-9]{6}Z$ ]]
    run_expect 0 "$top/tests/compare-db.sh" shop_expected shop
    equal "$(sql "$kept" -c 'SELECT count(*) FROM since')" 0
    grep -q 'terminating connection' "$dir/session"
    run_expect 0 pgcask restore --swap-back shop
    { read -r name && read -r put_aside; } <"$tmp/out"
    [[ $put_aside =~ ^shop_restored_[0-9]{8}T[0-9]{6}Z$ ]]
    equal "$(sql shop -c 'SELECT count(*) FROM since')" 0
    run_expect 0 "$top/tests/compare-db.sh" shop_expected "$put_aside"
    never db_exists "$kept"
    dropdb "$put_aside"
    run_expect 2 pgcask restore --swap-back shop
    expect_err "there is no database 'shop_before_…' that was put aside by --swap"
    expect_err "HINT: "
    run_expect 2 pgcask restore --swap-back shoop
    stop_pid "$bg_pid"
}

# reconnecting DB - an application that comes back at once
reconnecting()
{
    while psql -XAtq -d "$1" -c 'SELECT 1' >"$dir/connected" 2>&1 || [ -d "$dir" ]; do
        :
    done
}

test_swap_puts_it_in_place_when_the_original_is_gone()
{
    of_scene swap
    dropdb --force shop
    run_expect 0 pgcask restore latest --swap --conninfo "host=$PGHOST port=$PGPORT user=postgres dbname=postgres"
    equal "$(cat "$tmp/out")" shop
    run_expect 0 "$top/tests/compare-db.sh" shop_expected shop
}

test_rows_alone_go_into_an_existing_database()
{
    scene rows
    simple_config "databases = shop_expected"
    run_expect 0 pgcask backup --data-only
    run_expect 2 pgcask restore "$(latest_id)" --into shop_rows
    expect_err "holds rows only"
    expect_err "HINT: name the database to load them into: --existing --into NAME"
    run_expect 2 pgcask restore latest --into shop_rows
    expect_err "cluster 'main' has no full backup"
    pg_dump --schema-only -d shop_expected >"$dir/schema.sql"
    createdb shop_rows
    sql shop_rows -o "$dir/out" -f "$dir/schema.sql"
    run_expect 0 pgcask restore "$(latest_id)" --existing --into shop_rows
    run_expect 0 "$top/tests/compare-db.sh" shop_expected shop_rows
    run_expect 2 pgcask restore "$(latest_id)" --existing --into nowhere
    expect_err "database 'nowhere' does not exist"
    run_expect 0 pgcask backup
    run_expect 2 pgcask restore latest --existing --into shop_rows
    expect_err "HINT: --existing is for backups made with --data-only"
}

test_definitions_alone_make_an_empty_database()
{
    scene definitions
    simple_config "databases = shop_expected"
    run_expect 0 pgcask backup --schema-only
    run_expect 0 pgcask restore "$(latest_id)" --into shop_empty
    run_expect 0 "$top/tests/compare-db.sh" --schema-only shop_expected shop_empty
    equal "$(sql shop_empty -c 'SELECT count(*) FROM customer')" 0
}

start_postgres
load_rich_data
run_tests
