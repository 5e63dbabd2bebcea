#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# docs/format.md is enough to restore without pgcask: its commands are taken out of the page and run as they
# stand there, on a backup of rich.sql, into a second server; every database has to be equal to the original.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires psql pg_dump pg_restore age zstd jq
PGCASK=${PGCASK:-$build/pgcask}
page=$top/docs/format.md

# blocks HEADING [N] - the bash blocks under that heading of the page, or only the N-th
blocks()
{
    local text

    text=$(awk -v heading="### $1" -v only="${2:-0}" '
        /^```/ && on && inside { inside = 0; next }
        /^```bash$/ && on { inside = 1; n++; next }
        inside && (only == 0 || n == only)
        /^##/ && !inside { on = $0 == heading }' "$page")
    [ -n "$text" ] || fail "the page has no commands under '$1'"
    printf '%s\n' "$text"
}

write_config()
{
    cat >"$tmp/$2.ini" <<END
[pgcask]
$1
state_dir = "$tmp/state-$2"

[cluster rich]
conninfo = "host=$PGHOST port=$PGPORT user=postgres dbname=postgres"

[store here]
plugin = local
path = "$tmp/store-$2"
create = yes

; a small table_size, so that there are members of role table
[job all]
cluster = rich
databases = all
exclude_databases = postgres
stores = here
table_size = 64KiB

[check odd]
query = "SELECT 'a' || chr(9) || 'b' || chr(10) || chr(92) || chr(252), NULL, now() IS NULL, 0.1::float8, timestamptz '2001-02-03 04:05:06+02', interval '1 day 2 hours'"

[check users]
database = helpdesk
query = SELECT count(*), max(id) FROM users
END
    chmod 600 "$tmp/$2.ini"
    run_expect 0 "$PGCASK" -c "$tmp/$2.ini" backup
}

# The variables of the page's first block, with the values of this test.
given()
{
    cat <<END
set -eu
store=$tmp/store-$1 cluster=rich identity=$tmp/identity.txt work=$tmp/work-$1
export PGHOST=$second_host PGPORT=$second_port PGUSER=postgres PGDATABASE=postgres
END
    blocks "Before you begin" 2
    # shellcheck disable=SC2016 # expanded by the script that is made here
    blocks "Choose a backup" | sed 's/^ls -d .*/& >"$work"\/list/'
}

# run_page NAME - run the script on standard input; what it says is kept in $tmp/said
run_page()
{
    cat >"$tmp/$1.sh"
    bash "$tmp/$1.sh" >"$tmp/said" 2>"$tmp/err" && return
    cat "$tmp/said" "$tmp/err" >&2
    fail "the commands of the page failed"
}

restore_one() # STORE DATABASE
{
    {
        given "$1"
        blocks "Read a member" 1
        printf 'db=%q target=%q\n' "$2" "$2"
        blocks "One database" 2
        blocks "Create the database"
        blocks "Definitions, rows, indexes"
        blocks "The database's own properties"
        blocks "Compare" 1
    } | run_page restore
    [ ! -s "$tmp/said" ] || fail "not silent: $(cat "$tmp/said")"
    [ ! -s "$tmp/err" ] || fail "not silent: $(cat "$tmp/err")"
    expect_equal "$2"
}

# pg_dump writes the roles of a policy in the order in which the server happens to find its roles, which differs
# between servers: lines that are equal with these words sorted are equal.
expect_equal() # DATABASE
{
    local code=0 side

    "$top/tests/compare-db.sh" "$(conninfo "$first_host" "$first_port" "$1")" \
        "$(conninfo "$second_host" "$second_port" "$1")" >"$tmp/out" 2>"$tmp/err" || code=$?
    [ "$code" = 0 ] && return
    for side in - +; do
        grep "^[$side]" "$tmp/out" | grep -v '^[-+][-+][-+] ' |
            perl -ne 's/^.//; s/( POLICY .* TO )(.*?)( USING)/$1 . join(", ", sort(split(m{, }, $2))) . $3/e; print' >"$tmp/side$side"
    done
    if [ "$code" != 1 ] || [ ! -s "$tmp/side-" ] || ! cmp -s "$tmp/side-" "$tmp/side+"; then
        lib_show
        fail "database '$1' is not what it was"
    fi
}

# conninfo HOST PORT DATABASE
conninfo()
{
    local name=${3//\\/\\\\}

    echo "host=$1 port=$2 user=postgres dbname='${name//\'/\\\'}'"
}

test_restored_by_hand_all_databases_are_equal()
{
    local db

    {
        given sealed
        blocks "Read a member" 1
        blocks "Roles and tablespaces"
    } | run_page globals
    [ "$(cat "$tmp"/work-sealed/pg_hba.conf)" = "$(cat "$tmp/first/data/pg_hba.conf")" ] || fail "pg_hba.conf is another"
    jq -e '[.members[] | select(.role == "table")] | length > 3' "$tmp"/store-sealed/rich/backup/*/manifest.json >/dev/null
    for db in helpdesk western "$cellar"; do
        restore_one sealed "$db"
    done
}

test_without_encryption_it_is_the_same_page()
{
    write_config 'encrypt = none' plain
    PGHOST=$second_host PGPORT=$second_port psql -Xqc 'DROP DATABASE IF EXISTS helpdesk' -c 'DROP DATABASE IF EXISTS western'
    restore_one plain western
    restore_one plain helpdesk
}

test_manifest_digest_is_what_the_page_says()
{
    {
        given sealed
        blocks "Check the manifest" 1
    } | run_page manifest
    equal "$(sed -n 1p "$tmp/said")" 1 "format"
    equal "$(sed -n 2p "$tmp/said")" "$(sed -n 3p "$tmp/said")" "digest"
}

test_table_of_frames_ends_as_the_page_says()
{
    {
        given sealed
        blocks "Read a member" 3
    } | run_page frames
    grep -q 'b1 ea 92 8f$' "$tmp/said" || fail "said: $(cat "$tmp/said")"
}

# checks STORE - the page's two comparisons of digests; what is wrong goes to $tmp/said
checks()
{
    {
        given "$1"
        blocks "Check the stored bytes"
        blocks "Read a member" 1
        echo 'set +e' # a damaged member ends the pipe of age and zstd with an error, too
        blocks "Read a member" 2
    } | run_page checks
}

test_digests_are_what_the_page_says()
{
    requires xxhsum
    checks sealed
    [ ! -s "$tmp/said" ] || fail "not silent: $(cat "$tmp/said")"
}

test_the_page_finds_damage()
{
    local object

    requires xxhsum
    cp -R "$tmp/store-sealed" "$tmp/store-hurt"
    object=$(find "$tmp/store-hurt" -name helpdesk.dump.zst.age)
    printf '\377' | dd of="$object" bs=1 seek=5000 conv=notrunc status=none
    checks hurt
    grep -qx 'helpdesk.dump.zst.age: stored digest' "$tmp/said" || fail "said: $(cat "$tmp/said")"
    grep -qx 'helpdesk.dump.zst.age: plain digest' "$tmp/said" || fail "said: $(cat "$tmp/said")"
    equal "$(wc -l <"$tmp/said")" 2 "number of complaints"
    sed -i "s,store-sealed,store-hurt," "$tmp/sealed.ini"
    run_expect 1 "$PGCASK" -c "$tmp/sealed.ini" verify
    expect_err "the digest of the stored bytes"
}

# Every field that is written is described, and no other one.
test_fields_are_those_of_the_page()
{
    local manifest

    manifest=$(ls "$tmp"/store-sealed/rich/backup/*/manifest.json)
    {
        jq -r 'keys[], (.members[], .checks[], .databases[] | keys[])' "$manifest"
        jq -r 'keys[]' "$tmp"/store-*/rich/backup/*/verdict-*-good.json "$tmp"/store-hurt/rich/backup/*/verdict-*-bad.json
        jq -r 'keys[]' "$tmp/store-sealed/pgcask.json"
        jq -r '., .base, .base.tablespaces[], .members[] | keys[]' "$top"/tests/format/v1/repo-base/chain/backup/*/manifest.json
        echo parent # of an incremental one
        age -d -i "$tmp/identity.txt" "$(dirname "$manifest")/helpdesk.properties.json.zst.age" | zstd -dqc | jq -r 'keys[]'
    } | sort -u >"$tmp/written"
    awk -F '|' '/^## Digests/ { exit }
        /^\| field/ { on = 1; next }
        /^### lease/ { exit }
        on && /^\|-/ { next }
        !/^\|/ { on = 0 }
        on { print $2 }' "$page" | grep -oE '[a-z_]+' | sort -u >"$tmp/described"
    same "$tmp/written" "$tmp/described"
}

start_postgres second
cleanup_fn env "PG_BASE=$PG_BASE" "$pg" wipe # the cleanup of start_postgres is for the last one
second_host=$PGHOST second_port=$PGPORT
start_postgres first
first_host=$PGHOST first_port=$PGPORT
"$pg" psql -q -f "$top/tests/data/rich.sql" >"$tmp/rich.log" 2>&1 || fail "rich.sql: $(tail -n 5 "$tmp/rich.log")"
cellar="Fass №7 \"alt\" 'süß'"
run_expect 0 "$PGCASK" key new --output "$tmp/identity.txt"
write_config "recipient = $(cat "$tmp/out")
identity_file = \"$tmp/identity.txt\"" sealed
run_tests
