#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Are two databases equal? Schema, rows, sequences, large objects, owners, privileges, comments,
# and the database's own properties and settings; not its name.
#
#   tests/compare-db.sh [--schema-only] DB1 DB2      names or conninfo strings; else libpq's environment
#
# Exit 0 equal; 1 different, with the differences on stdout (the first $COMPARE_LINES lines, 200 unless
# told); 2 could not compare. PG_BINDIR: whose pg_dump and psql to use.
#
# Both are dumped by the same pg_dump. What has no order of its own is sorted before comparing: rows
# within a table, and the entries of the schema, where pg_dump falls back to object ids.
set -u -o pipefail
export LC_ALL=C PGTZ=UTC # a time in a partition's bounds is written in the session's zone

schema_only=
if [ "${1:-}" = --schema-only ]; then
    schema_only=--schema-only
    shift
fi
if [ $# != 2 ]; then
    sed -n 's/^#   tests/tests/p' "$0" >&2
    exit 2
fi
bin=${PG_BINDIR:+$PG_BINDIR/}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/compare-db.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One entry of the schema follows the other, each closed by a NUL byte, so that sort -z can order them.
# The settings default_tablespace and default_table_access_method stand between entries and hold for all
# that follow: they are moved into the entries they matter for.
# shellcheck disable=SC2016 # awk's own variables
split_dump='
function end_entry() {
    if (entry == "")
        return
    if (type ~ /^(TABLE|INDEX|MATERIALIZED VIEW|CONSTRAINT)$/)
        entry = entry space "\n"
    if (type ~ /^(TABLE|MATERIALIZED VIEW)$/ && entry !~ /\nPARTITION BY /)
        entry = entry method "\n"
    if (type ~ /^(TABLE DATA|BLOBS|SEQUENCE SET)$/)
        printf "%s", entry >> data
    else
        printf "%s%c", entry, 0 > schema
    entry = ""
}
in_rows && $0 == "\\." { close(sorter); in_rows = 0; next }
in_rows { print | sorter; next }
/^\\(un)?restrict / || /^-- Dumped (from|by) / { next }
/^SET default_tablespace = / { space = $0; next }
/^SET default_table_access_method = / { method = $0; next }
$0 == "--" && !held { held = 1; next }
held {
    held = 0
    if (/^-- (Data for )?Name: .*; Type: / || /^-- PostgreSQL database dump/) {
        end_entry()
        type = $0
        sub(/^.*; Type: /, "", type)
        sub(/; Schema: .*$/, "", type)
    } else
        entry = entry "--\n"
}
type == "TABLE DATA" && / FROM stdin;$/ {
    entry = entry $0 "\n"
    end_entry()
    close(data)
    in_rows = 1
    next
}
type == "BLOBS" { print >> data; next }
{ entry = entry $0 "\n" }
END { end_entry() }
'

# shellcheck disable=SC2016 # no shell variables in SQL
properties='
SELECT jsonb_pretty(to_jsonb(d) - ARRAY[$$oid$$, $$datname$$, $$datdba$$, $$dattablespace$$, $$datacl$$, $$datlastsysoid$$,
    $$datfrozenxid$$, $$datminmxid$$, $$datcollversion$$])
FROM pg_database d WHERE datname = current_database();
SELECT $$owner $$ || quote_ident(pg_get_userbyid(datdba)) || $$, tablespace $$ || quote_ident(spcname)
FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = current_database();
SELECT $$comment $$ || coalesce(quote_literal(shobj_description(oid, $$pg_database$$)), $$none$$)
FROM pg_database WHERE datname = current_database();
SELECT $$grant $$ || a.privilege_type || $$ to $$ || CASE grantee WHEN 0 THEN $$public$$ ELSE quote_ident(pg_get_userbyid(grantee)) END
    || CASE WHEN is_grantable THEN $$ with grant option$$ ELSE $$$$ END
FROM pg_database d, aclexplode(coalesce(datacl, acldefault($$d$$, datdba))) a WHERE datname = current_database() ORDER BY 1;
SELECT $$set for $$ || CASE setrole WHEN 0 THEN $$all$$ ELSE quote_ident(pg_get_userbyid(setrole)) END || $$: $$ || setting
FROM pg_db_role_setting s, unnest(setconfig) setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1;
'

# take DB NAME - leave NAME.properties, NAME.schema, NAME.data in the scratch directory
take()
{
    local out=$scratch/$2

    : >"$out.data"
    : >"$out.entries"
    "$bin"psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -f - <<<"SET client_encoding = UTF8; SET search_path = pg_catalog; $properties" \
        >"$out.properties" || return
    # both awk and sort append to the data; awk closes it before sort runs
    "$bin"pg_dump --no-sync --no-password $schema_only -d "$1" |
        ROWS=$out.data awk -v schema="$out.entries" -v data="$out.data" -v sorter='sort >>"$ROWS"' "$split_dump" || return
    sort -z "$out.entries" | tr '\0' '\n' >"$out.schema"
}

take "$1" one &
first=$!
take "$2" two
second=$?
wait "$first" || exit 2
[ $second = 0 ] || exit 2

status=0
for what in properties schema data; do
    cmp -s "$scratch/one.$what" "$scratch/two.$what" && continue
    echo "the $what differ:"
    diff -U 6 --label "$1" --label "$2" "$scratch/one.$what" "$scratch/two.$what" | cut -c 1-300 | head -n "${COMPARE_LINES:-200}"
    status=1
done
exit $status
