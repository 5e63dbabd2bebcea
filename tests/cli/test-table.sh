#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask restore --table: single tables with all that belongs to them, beside what exists or as
# SQL, and no more read than they need.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# fingerprint DATABASE - of all there is, to see that nothing changed
fingerprint()
{
    pg_dump -d "$1" | sed -e '/^\\\(un\)\?restrict /d' | sha256sum
}

test_prepare()
{
    scene shared
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk '${cellar//\'/\'\'}'" "table_size = 200KiB")
END
    run_expect 0 pgcask backup
}

# columns DATABASE TABLE SCHEMA - name, type, not null, identity, generated, default
columns()
{
    sql "$1" -c "SET search_path = ''" -c "
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, pg_get_expr(adbin, adrelid)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = '$2'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum" | sed "s/'$3\.\([a-z_]*_seq\)/'SCHEMA.\1/"
}

# of_table DATABASE TABLE SCHEMA - constraints, indexes, triggers, policies, comments, grants
of_table()
{
    sql "$1" -c "SET search_path = ''" -c "
        SELECT x FROM (
            SELECT 1, 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated FROM pg_constraint WHERE conrelid = '$2'::regclass
            UNION ALL SELECT 2, 'index ' || pg_get_indexdef(indexrelid) || ' ' || indisclustered || indisreplident FROM pg_index WHERE indrelid = '$2'::regclass
            UNION ALL SELECT 3, 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = '$2'::regclass AND NOT tgisinternal
            UNION ALL SELECT 4, 'policy ' || polname || pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = '$2'::regclass
            UNION ALL SELECT 5, 'comment ' || objsubid || description FROM pg_description WHERE objoid = '$2'::regclass
            UNION ALL SELECT 6, 'table ' || relowner::regrole || relrowsecurity || coalesce(array_to_string(relacl, ' '), '') || coalesce(reloptions::text, '')
                || relreplident::text FROM pg_class WHERE oid = '$2'::regclass
        ) t (n, x) ORDER BY n, x" | sed "s/\b$3\./SCHEMA./g"
}

# rows DATABASE TABLE
rows()
{
    sql "$1" -c "SET timezone = 'UTC'; SELECT t::text FROM $2 t ORDER BY 1"
}

test_a_table_comes_back_complete_in_a_schema_of_its_own()
{
    local before

    of_scene shared
    before=$(fingerprint helpdesk)
    run_expect 0 pgcask restore latest -d helpdesk --table public.ticket --schema rescued
    equal "$(cat "$tmp/out")" rescued
    [ ! -s "$tmp/err" ]
    columns helpdesk public.ticket public >"$dir/a"
    columns helpdesk rescued.ticket rescued >"$dir/b"
    same "$dir/a" "$dir/b"
    rows helpdesk public.ticket >"$dir/a"
    rows helpdesk rescued.ticket >"$dir/b"
    same "$dir/a" "$dir/b"
    # its foreign keys: to itself beside, to users where they are
    of_table helpdesk rescued.ticket rescued >"$dir/b"
    grep -qF 'FOREIGN KEY (parent_id) REFERENCES SCHEMA.ticket(id)' "$dir/b"
    grep -qF 'FOREIGN KEY (reporter_id) REFERENCES public.users(id)' "$dir/b"
    of_table helpdesk public.ticket public | sed 's/REFERENCES SCHEMA\.users/REFERENCES public.users/; s/SCHEMA\.\(ticket_state\|touch_ticket\|gin_trgm_ops\)/public.\1/g' >"$dir/a"
    same "$dir/a" "$dir/b"
    # a sequence of its own, at the value of the other, and used
    equal "$(sql helpdesk -c "SELECT pg_get_serial_sequence('rescued.ticket', 'id')")" rescued.ticket_id_seq
    equal "$(sql helpdesk -c "SELECT nextval('rescued.ticket_id_seq')")" 5001
    sql helpdesk -c 'DROP SCHEMA rescued CASCADE' 2>"$dir/notices"
    equal "$(fingerprint helpdesk)" "$before"
}

test_without_a_schema_it_says_the_one_it_made()
{
    of_scene shared
    run_expect 0 pgcask restore latest -d helpdesk --table public.team
    grep -Eqx 'restored_[0-9]{8}T[0-9]{6}Z' "$tmp/out"
    equal "$(sql helpdesk -c "SELECT count(*) FROM \"$(cat "$tmp/out")\".team")" 8
    sql helpdesk -c "DROP SCHEMA \"$(cat "$tmp/out")\" CASCADE" 2>"$dir/notices"
}

test_identity_and_generated_columns_go_on()
{
    of_scene shared
    run_expect 0 pgcask restore latest -d helpdesk -t public.users --schema rescued
    equal "$(sql helpdesk -c "INSERT INTO rescued.users (login, name, password_hash) VALUES ('new@example.org', 'Neo', 'x')
                              RETURNING id, display")" "601|Neo #3"
    sql helpdesk -c 'DROP SCHEMA rescued CASCADE' 2>"$dir/notices"
}

test_several_tables_keep_the_key_between_them()
{
    of_scene shared
    run_expect 0 pgcask restore latest -d helpdesk -t public.users -t public.team --schema rescued
    equal "$(sql helpdesk -c "SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'rescued.users'::regclass AND contype = 'f'")" rescued.team
    equal "$(sql helpdesk -c "SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'rescued.team'::regclass AND contype = 'f'")" rescued.users
    equal "$(sql helpdesk -c "SELECT count(*) FROM rescued.users JOIN rescued.team ON team.id = team_id")" 600
    sql helpdesk -c 'DROP SCHEMA rescued CASCADE' 2>"$dir/notices"
}

test_a_partitioned_table_comes_with_its_partitions()
{
    of_scene shared
    run_expect 0 pgcask restore latest -d helpdesk -t public.message --schema rescued
    equal "$(sql helpdesk -c "SELECT string_agg(inhrelid::regclass::text || pg_get_expr(relpartbound, c.oid), ';' ORDER BY 1)
                              FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'rescued.message'::regclass" | tr -d ' ' | sed 's/rescued\.//g')" \
        "$(sql helpdesk -c "SELECT string_agg(inhrelid::regclass::text || pg_get_expr(relpartbound, c.oid), ';' ORDER BY 1)
                              FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'public.message'::regclass" | tr -d ' ')"
    rows helpdesk public.message >"$dir/a"
    rows helpdesk rescued.message >"$dir/b"
    same "$dir/a" "$dir/b"
    equal "$(sql helpdesk -c "SELECT count(*) FROM pg_indexes WHERE schemaname = 'rescued'")" \
        "$(sql helpdesk -c "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'message%'")"
    equal "$(sql helpdesk -c "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'rescued'::regnamespace AND NOT indisvalid")" 0
    sql helpdesk -c 'DROP SCHEMA rescued CASCADE' 2>"$dir/notices"
}

# tables WHAT - of the odd database, NUL-terminated: not the partitions
tables()
{
    psql -XAtq0 -d "$cellar" -c "SELECT $1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY c.oid"
}

test_each_table_of_odd_name_and_kind_survives()
{
    local before i names leaves

    of_scene shared
    before=$(fingerprint "$cellar")
    mapfile -d '' names < <(tables "format('%I.%I', nspname, relname)")
    mapfile -d '' leaves < <(tables 'quote_ident(relname)')
    [ ${#names[@]} -gt 30 ] || fail "only ${#names[@]} tables"
    for ((i = 0; i < ${#names[@]}; i++)); do
        run_expect 0 pgcask restore latest -d "$cellar" --table "${names[i]}" --schema 'Res "cued" ü'
        rows "$cellar" "ONLY ${names[i]}" >"$dir/a"
        rows "$cellar" "ONLY \"Res \"\"cued\"\" ü\".${leaves[i]}" >"$dir/b"
        same "$dir/a" "$dir/b"
        sql "$cellar" -c 'DROP SCHEMA "Res ""cued"" ü" CASCADE' 2>"$dir/notices"
    done
    equal "$(fingerprint "$cellar")" "$before"
}

test_as_sql_it_loads_into_an_empty_schema()
{
    of_scene shared
    run_expect 0 pgcask restore latest -d helpdesk -t public.ticket -t public.users -t public.team --schema loaded --output "$dir/tables.sql"
    expect_silent
    expect_mode "$dir/tables.sql" 600
    run_expect 0 psql -X -q -v ON_ERROR_STOP=1 -d helpdesk -f "$dir/tables.sql"
    rows helpdesk public.ticket >"$dir/a"
    rows helpdesk loaded.ticket >"$dir/b"
    same "$dir/a" "$dir/b"
    equal "$(sql helpdesk -c "SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'loaded.ticket'::regclass AND conname LIKE '%reporter%'")" loaded.users
    sql helpdesk -c 'DROP SCHEMA loaded CASCADE' 2>"$dir/notices"
    # with the names as they were, for another database
    run_expect 0 pgcask restore latest -d helpdesk -t public.team -t public.session -t public.users --output -
    cp "$tmp/out" "$dir/names.sql"
    createdb elsewhere
    sql elsewhere -c 'CREATE EXTENSION citext' -c "CREATE DOMAIN email AS citext"
    run_expect 0 psql -X -q -v ON_ERROR_STOP=1 -d elsewhere -f "$dir/names.sql"
    rows helpdesk public.session >"$dir/a"
    rows elsewhere public.session >"$dir/b"
    same "$dir/a" "$dir/b"
    # and straight into that one by name
    run_expect 0 pgcask restore latest -d helpdesk -t public.team --into elsewhere --schema beside
    equal "$(sql elsewhere -c 'SELECT count(*) FROM beside.team')" 8
    dropdb elsewhere
}

test_a_table_that_is_not_there_is_told_with_the_nearest()
{
    of_scene shared
    run_expect 2 pgcask restore latest -d helpdesk --table public.tikcet
    expect_err "public.tikcet"
    expect_err "HINT: did you mean 'public.ticket'?"
    run_expect 2 pgcask restore latest -d helpdesk --table ticket
    expect_err "ticket"
    expect_err "HINT: "
    run_expect 2 pgcask restore latest -d helpdesk --table public.ticket --swap
    run_expect 2 pgcask restore latest -d helpdesk --schema x
    expect_err "--schema needs --table"
    run_expect 2 pgcask restore latest -d helpdesk --table public.tikcet --output "$dir/none.sql"
    [ ! -e "$dir/none.sql" ]
}

test_what_exists_is_not_touched_and_a_failure_leaves_nothing()
{
    local before

    of_scene shared
    sql helpdesk -c 'CREATE SCHEMA taken' -c 'CREATE TABLE taken.team (mine int)'
    before=$(fingerprint helpdesk)
    run_expect 2 pgcask restore latest -d helpdesk -t public.users -t public.team --schema taken
    expect_err "ERROR: schema 'taken' of database 'helpdesk' has a 'team' already"
    expect_err "HINT: nothing is overwritten: name another schema with --schema"
    equal "$(fingerprint helpdesk)" "$before"
    # into the schema it came from: the same
    run_expect 2 pgcask restore latest -d helpdesk -t public.team --schema public
    expect_err "ERROR: schema 'public' of database 'helpdesk' has a 'team' already"
    equal "$(fingerprint helpdesk)" "$before"
    # what comes along with it is found on the way
    sql helpdesk -c 'CREATE TABLE taken.message_rest (mine int)'
    before=$(fingerprint helpdesk)
    run_expect 1 pgcask restore latest -d helpdesk -t public.message --schema taken
    expect_err 'relation "message_rest" already exists'
    equal "$(fingerprint helpdesk)" "$before"
    sql helpdesk -c 'DROP SCHEMA taken CASCADE' 2>"$dir/notices"
}

test_a_database_that_is_not_there_is_told()
{
    of_scene shared
    run_expect 2 pgcask restore latest -d helpdesk -t public.team --into nodb
    expect_err "ERROR: database 'nodb' does not exist (--into)"
}

test_what_was_lost_comes_back_though_conninfo_names_it()
{
    createdb lost
    sql lost -c 'CREATE TABLE t (a int)'
    scene lost
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=lost")
$(store_section one)
$(job_section daily "databases = lost")
END
    run_expect 0 pgcask backup
    dropdb lost
    run_expect 2 pgcask restore latest -t public.t
    expect_err "ERROR: database 'lost' does not exist"
    expect_err "HINT: name one that does with --into"
    run_expect 2 pgcask restore latest -t public.t --into nodb
    expect_err "ERROR: database 'nodb' does not exist (--into)"
    run_expect 0 pgcask restore latest -t public.t --into helpdesk --schema found
    sql helpdesk -c 'DROP SCHEMA found CASCADE' 2>"$dir/notices"
    run_expect 0 pgcask -v restore latest --into lost
    expect_err "INFO: there is no database 'lost', which conninfo names: connected to 'postgres'"
    equal "$(sql lost -c 'SELECT count(*) FROM t')" 0
    dropdb lost
    run_expect 0 pgcask restore latest --swap
    equal "$(cat "$tmp/out")" lost
    dropdb lost
    run_expect 2 pgcask restore --swap-back lost
    expect_err "there is no database 'lost_before_…' that was put aside by --swap"
}

test_a_database_of_no_backup_is_told_with_the_nearest()
{
    of_scene shared
    run_expect 2 pgcask restore latest -d helpdeks --into x
    expect_err "ERROR: cluster 'main' has no full backup with database 'helpdeks'"
    expect_err "HINT: did you mean 'helpdesk'? The newest backups have '$cellar', 'helpdesk'"
    run_expect 2 pgcask restore latest -d warehouse --into x
    expect_err "HINT: the newest backups have '$cellar', 'helpdesk'"
}

test_a_swap_needs_no_name_and_says_so()
{
    of_scene shared
    run_expect 2 pgcask restore latest -d helpdesk --swap --into other
    expect_err "ERROR: --swap puts the database in the place of the original: leave --into away"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname LIKE 'other%' OR datname LIKE 'helpdesk_%'")" 0
}

test_what_the_role_may_not_is_told_with_a_cure()
{
    local conninfo="host=$PGHOST port=$PGPORT dbname=postgres user=humble"

    of_scene shared
    sql postgres -c 'CREATE ROLE humble LOGIN'
    run_expect 1 pgcask restore latest -d helpdesk --into x --conninfo "$conninfo" --no-owner
    expect_err "permission denied to create database"
    expect_err "HINT: the role needs the right: ALTER ROLE … CREATEDB"
    sql postgres -c 'ALTER ROLE humble CREATEDB'
    run_expect 1 pgcask restore latest -d helpdesk --into x --conninfo "$conninfo"
    expect_err "HINT: --no-owner gives it all to the role that connects"
    run_expect 1 pgcask restore latest -d helpdesk --into x --conninfo "${conninfo/humble/nobody_known}"
    expect_err "HINT: the server has no such role"
    sql postgres -c 'DROP ROLE humble'
}

# refusing PORT - a server that refuses every password
refusing()
{
    exec python3 - "$1" <<'END'
import socket, struct, sys
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    client = server.accept()[0]
    client.recv(65536)
    body = b'SFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0'
    client.sendall(b'E' + struct.pack('>I', len(body) + 4) + body)
    client.close()
END
}

listens()
{
    python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$1"
}

test_the_password_of_a_server_that_was_named_is_not_in_the_config()
{
    local port

    of_scene shared
    port=$(free_port)
    start_bg refusing "$port"
    wait_until 30 listens "$port"
    run_expect 1 pgcask restore latest -d helpdesk --into x --conninfo "host=127.0.0.1 port=$port user=me sslmode=disable"
    expect_err "password authentication failed"
    expect_err "HINT: with --conninfo the password comes from ~/.pgpass or PGPASSWORD"
    expect_no_err "password_file"
}

test_a_selection_that_is_no_database_says_how_it_comes_back()
{
    scene selection
    simple_config "databases = helpdesk"
    run_expect 0 pgcask backup --table public.ticket
    run_expect 1 pgcask restore "$(latest_id)" --into x
    expect_err "HINT: this backup holds a selection of tables: 'pgcask restore $(latest_id) --table SCHEMA.TABLE --into DATABASE'"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname LIKE 'x%'")" 0
}

test_a_spoilt_member_leaves_nothing_of_the_table()
{
    local before file

    of_scene shared
    before=$(fingerprint helpdesk)
    file=$(backup_dir)/helpdesk.public.ticket.dump.zst.age
    cp "$file" "$dir/kept"
    flip "$file" $(($(stat -c %s "$file") / 2))
    run_expect 1 pgcask restore latest -d helpdesk -t public.team -t public.ticket --schema rescued
    expect_err "helpdesk.public.ticket.dump.zst.age"
    equal "$(fingerprint helpdesk)" "$before"
    run_expect 1 pgcask restore latest -d helpdesk -t public.ticket --output "$dir/cut.sql"
    [ ! -e "$dir/cut.sql" ]
    run_expect 0 pgcask restore latest -d helpdesk -t public.team --schema rescued # needs nothing of it
    sql helpdesk -c 'DROP SCHEMA rescued CASCADE' 2>"$dir/notices"
    cp "$dir/kept" "$file"
}

test_a_foreign_key_whose_rows_have_gone_is_not_valid()
{
    of_scene shared
    createdb -T helpdesk gone
    sql gone -c 'SET session_replication_role = replica' -c 'DELETE FROM users WHERE id = 5'
    run_expect 0 pgcask restore latest -d helpdesk -t public.ticket --into gone --schema rescued
    expect_err "WARN: "
    expect_err "NOT VALID"
    equal "$(sql gone -c "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'rescued.ticket'::regclass AND NOT convalidated ORDER BY 1" | wc -l)" 2
    dropdb gone
}

test_no_more_is_read_than_the_table_needs()
{
    local stored main fetched

    createdb bulk
    psql -Xq -v mib=24 -d bulk -f "$top/tests/data/bulk.sql"
    scene bytes
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = bulk" "table_size = 1MiB")
END
    run_expect 0 pgcask backup
    stored=$(stat -c %s "$(backup_dir)/bulk.public.document.dump.zst.age")
    main=$(stat -c %s "$(backup_dir)/bulk.dump.zst.age")
    run_expect 0 pgcask -v restore latest -t public.document --schema rescued
    fetched=$(sed -n 's/^INFO: \([0-9]*\) bytes fetched.*/\1/p' "$tmp/err")
    [ -n "$fetched" ]
    [ "$fetched" -le $((stored * 11 / 10)) ] || fail "$fetched bytes fetched for $stored stored ones"
    rows bulk public.document | sha256sum >"$dir/a"
    rows bulk rescued.document | sha256sum >"$dir/b"
    same "$dir/a" "$dir/b"
    traceable || return 0
    traced -e trace=pread64 pgcask restore latest -t public.document --output "$dir/document.sql"
    fetched=$(awk '/pread64/ && $NF ~ /^[0-9]+$/ { sum += $NF } END { print sum }' "$dir/trace")
    [ "$fetched" -ge "$stored" ] # else it did not count
    [ "$fetched" -le $((stored * 11 / 10 + 200000)) ] || fail "$fetched bytes read in all, for $stored stored ones and $main of the main member"
}

start_postgres
load_rich_data
run_tests
