#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The tools the other tests trust: would they notice? compare-db.sh, layers.sh, pg.sh, lib.sh,
# and the rich data set.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires psql pg_dump pg_restore

compare()
{
    run_expect "$1" "$top/tests/compare-db.sh" "$2" "$3"
}

test_rich_data_survives_dump_and_restore()
{
    local db

    for db in helpdesk "$cellar" western; do
        createdb -T template0 "${db}_copy" -E "$(psql -XAtc "SHOW server_encoding" -d "$db")" --locale=C
        pg_dump -Fc -Z0 -d "$db" | pg_restore -d "${db}_copy" 2>"$tmp/restore"
        run_expect 1 "$top/tests/compare-db.sh" "$db" "${db}_copy"
        expect_out "the properties differ:"
        expect_no_out "the schema differ:"
        expect_no_out "the data differ:"
    done
}

test_equal_databases_are_equal_in_any_row_order()
{
    psql -Xqc 'CREATE DATABASE twin TEMPLATE "helpdesk_copy" CONNECTION LIMIT 3' -c 'CREATE DATABASE twin2 TEMPLATE twin CONNECTION LIMIT 3'
    compare 0 twin twin2
    expect_silent
    psql -Xqd twin2 -c 'BEGIN' -c 'CREATE TEMP TABLE u AS TABLE team' -c 'SET session_replication_role = replica' \
        -c 'DELETE FROM team' -c 'INSERT INTO team SELECT * FROM u ORDER BY id DESC' -c 'COMMIT'
    compare 0 twin twin2
}

# one change to twin2, what compare-db.sh must say of it, and how to undo it
change_rows="
one row|UPDATE message SET body = concat(body, '.') WHERE id = 100050|the data differ|UPDATE message SET body = left(body, -1) WHERE id = 100050
a row less|DELETE FROM session WHERE user_id = 7|the data differ|INSERT INTO session SELECT digest('7', 'md5'), 7, 'infinity'
a sequence|SELECT setval('ticket_id_seq', 5001)|the data differ|SELECT setval('ticket_id_seq', 5000)
a byte of a large object|SELECT lo_put(700002, 4, '\\xfe')|the data differ|SELECT lo_put(700002, 4, '\\xff')
owner of a large object|ALTER LARGE OBJECT 700002 OWNER TO agent|the schema differ|ALTER LARGE OBJECT 700002 OWNER TO postgres
a missing index|DROP INDEX ticket_lower|-CREATE INDEX ticket_lower|CREATE INDEX ticket_lower ON ticket (lower(title))
a missing comment|COMMENT ON TABLE ticket IS NULL|-COMMENT ON TABLE public.ticket|COMMENT ON TABLE ticket IS 'what a customer asked for'
a privilege|REVOKE UPDATE (name) ON users FROM agent|the schema differ|GRANT UPDATE (name) ON users TO agent
a disabled trigger|ALTER TABLE ticket DISABLE TRIGGER ticket_touch|the schema differ|ALTER TABLE ticket ENABLE TRIGGER ticket_touch
a setting|ALTER DATABASE twin2 SET work_mem = '5MB'|+set for all: work_mem=5MB|ALTER DATABASE twin2 RESET work_mem
a comment on the database|COMMENT ON DATABASE twin2 IS 'x'|the properties differ|COMMENT ON DATABASE twin2 IS NULL
the owner of the database|ALTER DATABASE twin2 OWNER TO agent|+owner agent|ALTER DATABASE twin2 OWNER TO postgres
"

test_each_difference_is_noticed()
{
    local what change said undo

    while IFS='|' read -r what change said undo; do
        [ -n "$what" ] || continue
        psql -Xqd twin2 -v ON_ERROR_STOP=1 -c "$change" >/dev/null
        compare 1 twin twin2
        expect_out "$said"
        psql -Xqd twin2 -v ON_ERROR_STOP=1 -c "$undo" >/dev/null
        ok "compare-db.sh notices: $what"
    done <<<"$change_rows"
    compare 0 twin twin2
}

test_a_database_that_cannot_be_read_is_not_equal()
{
    compare 2 twin nowhere
    compare 2 nowhere twin
    compare 2 nowhere nowhere
}

test_a_killed_server_comes_back()
{
    psql -Xqd twin -c 'CREATE TABLE survivor (a int)' -c 'INSERT INTO survivor VALUES (1)' -c CHECKPOINT
    "$pg" crash
    run_expect 2 psql -Xd twin -c 'SELECT 1'
    "$pg" start
    equal "$(psql -XAtd twin -c 'SELECT a FROM survivor')" 1
}

# includes that break the layers, each in a tree of its own
layer_rows='
core/base/x.c|cmd/cmd.h|base must not include cmd
core/stage/x.c|catalog/label.h|stage must not know catalog
core/pg/x.c|config/ini.h|pg must not know config
core/plugin/x.c|pipeline/chain.h|plugin must not include pipeline
core/base/x.c|error.h|without its folder
core/include/x.h|base/buf.h|the public header includes
plugins/local/x.c|base/buf.h|a plugin must not include
plugins/local/x.c|../s3/s3.h|a plugin must not include
'

test_an_upward_include_is_noticed()
{
    local file name said

    while IFS='|' read -r file name said; do
        [ -n "$file" ] || continue
        rm -rf "$tmp/tree"
        mkdir -p "$tmp/tree/core/base" "$tmp/tree/plugins/local" "$tmp/tree/$(dirname "$file")"
        echo '#include "pgcask-plugin.h"' >"$tmp/tree/core/base/error.h"
        run_expect 0 "$top/tests/layers.sh" "$tmp/tree"
        printf '#include <stdio.h>\n# include "%s"\n' "$name" >"$tmp/tree/$file"
        run_expect 1 "$top/tests/layers.sh" "$tmp/tree"
        expect_out "$file:2: "
        expect_out "$said"
        ok "layers.sh notices \"$name\" in $file"
    done <<<"$layer_rows"
}

test_files_keep_to_the_layers()
{
    run_expect 0 "$top/tests/layers.sh"
}

# a file of tests that fail in every way there is
test_lib_counts_failures()
{
    local t=test_ # so that this file does not seem to define them

    cat >"$tmp/failing.sh" <<END
#!/bin/bash
. '$top/tests/lib.sh'
${t}good() { cleanup_fn touch '$tmp/cleaned'; }
${t}false() { false; ok "never reached"; }
${t}code() { run_expect 3 sh -c 'exit 4'; }
${t}text() { run_expect 0 echo one; expect_out two; }
${t}skip() { requires no-such-program; }
${t}wait() { wait_until 0 false; }
${t}silent_77() { exit 77; }
run_tests
END
    run_expect 1 bash "$tmp/failing.sh"
    expect_out "1 passed, 5 failed, 1 skipped"
    expect_err "exit code 4, wanted 3: sh -c exit 4"
    [ -e "$tmp/cleaned" ]
    printf '. "%s/tests/lib.sh"\nok one\nexit 0\n' "$top" >"$tmp/early.sh"
    run_expect 1 bash "$tmp/early.sh"
    expect_out "1 passed, 1 failed, 0 skipped"
}

cellar='Fass №7 "alt" '\''süß'\'
start_postgres
"$pg" psql -q -f "$top/tests/data/rich.sql" >/dev/null || fail "the rich data set does not load"
run_tests
