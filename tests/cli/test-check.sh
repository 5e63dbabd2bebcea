#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask check: what is wrong is found before a backup or a restore stumbles over it, and nothing is left behind.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# outcomes - "OUTCOME KIND NAME" of each finding of the last `pgcask check --json`
outcomes()
{
    jq -r '.[] | "\(.outcome) \(.kind) \(.name // "-")"' "$tmp/out"
}

# finds OUTCOME TEXT - the last run_expect told it in a line of that outcome
finds()
{
    grep -E "^$1 +" "$tmp/out" | grep -qF -e "$2" && return
    echo "    no line '$1' with '$2'" >&2
    lib_show
    exit 1
}

cluster_as()
{
    section "cluster $1" "conninfo = host=$PGHOST port=$PGPORT user=$2 dbname=postgres" --
}

test_all_is_well_and_nothing_stays()
{
    scene well
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = small" "stores = one two")
$(job_section weekly "databases = all" "content = schema")
[check rows]
query = SELECT count(*) FROM public.t
database = small
END
    run_expect 0 pgcask check
    [ ! -s "$tmp/err" ]
    equal "$(grep -vc '^ok ' "$tmp/out")" 0 "lines that are not ok"
    finds ok "config '$dir/pgcask.ini': clusters: 1, stores: 2, jobs: 2"
    finds ok "state directory '$dir/state': can be written"
    finds ok "keys: 1 recipient; the identity of this host opens what it writes"
    finds ok "cluster 'main': PostgreSQL "
    finds ok "cluster 'main': pg_dump "
    finds ok "job 'daily': 1 database with 3 tables can be dumped"
    finds ok "job 'weekly': 2 databases with 3 tables can be dumped"
    finds ok "store 'one': no backups yet"
    finds ok "store 'two': an object was written, read, listed, kept from being overwritten, and removed"
    equal "$(find "$dir/one" "$dir/two" -type f)" "" "what is left behind"
    run_expect 0 pgcask backup daily
    objects >"$dir/before"
    run_expect 0 pgcask check --fix
    finds ok "store 'one': holds repository $(jq -r .repository "$(backup_dir)/manifest.json")"
    objects | diff "$dir/before" -
    equal "$(count_backups)" 1
}

test_json_has_the_same_findings()
{
    of_scene well
    run_expect 0 pgcask check
    sed -E "s/^([a-z]+) +([a-z ]+) '([^']*)': .*/\1 \2 \3/; s/^([a-z]+) +keys: .*/\1 keys -/" "$tmp/out" >"$tmp/text"
    run_expect 0 pgcask check --json
    outcomes | diff "$tmp/text" -
    jq -e 'all(.[]; has("text") and has("cure"))' "$tmp/out" >"$tmp/said"
}

test_one_store_is_looked_at_alone()
{
    of_scene well
    run_expect 0 pgcask check --store two --json
    equal "$(outcomes | sort -u)" "ok store two"
    run_expect 2 pgcask check --store three
    expect_err "there is no store 'three'"
    run_expect 2 pgcask check one
}

test_a_store_that_is_not_there_is_bad()
{
    scene gone
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two "create = no")
$(store_section file)
$(job_section daily "databases = small" "stores = one two file")
END
    : >"$dir/file"
    run_expect 1 pgcask check
    finds ok "store 'one': an object was written"
    finds bad "store 'two': could not open directory '$dir/two'"
    finds bad "store 'file': "
    expect_out "HINT: make it (mode 0700), mount what should be there, or set 'create = yes'"
    expect_err "ERROR: 2 of 10 findings are bad"
    run_expect 0 pgcask check --store one
}

test_a_store_that_cannot_be_written_is_bad()
{
    scene full
    simple_config "databases = small"
    run_expect 0 pgcask check --store one
    # where no file may grow; also root's files
    # shellcheck disable=SC2016 # that shell's own parameters
    run_expect 1 bash -o pipefail -c '(ulimit -f 0 && exec pgcask check --store one 2>&1) | cat'
    finds bad "store 'one': writing an object: "
    expect_out "File too large"
    equal "$(find "$dir/one" -type f)" "" "what is left behind"
    [ "$(id -u)" != 0 ] || return 0 # root may do all; the run as an ordinary user comes here
    chmod 500 "$dir/one"
    run_expect 1 pgcask check --store one
    chmod 700 "$dir/one"
    finds bad "store 'one': writing an object: "
    expect_out "Permission denied"
}

test_a_store_that_lost_its_backups_is_bad()
{
    scene emptied
    simple_config "databases = small"
    run_expect 0 pgcask backup
    mv "$dir/one" "$dir/elsewhere"
    mkdir -m 700 "$dir/one"
    run_expect 1 pgcask check
    finds bad "store 'one': is empty, but backups were stored in it before"
}

test_stores_of_two_repositories_are_bad()
{
    scene mixed
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = small" "stores = one")
$(job_section weekly "databases = small" "stores = two")
END
    run_expect 0 pgcask backup daily
    rm -r "$dir/state"
    run_expect 0 pgcask backup weekly
    run_expect 0 pgcask check
    sed -i 's/^stores = one$/stores = one two/' "$dir/pgcask.ini"
    run_expect 1 pgcask check
    finds bad "job 'daily': store 'one' holds repository "
}

test_a_store_without_a_job_is_only_read()
{
    scene reader
    simple_config "databases = small"
    run_expect 0 pgcask backup
    sed -i '/^\[job /,$d' "$dir/pgcask.ini"
    objects >"$dir/before"
    run_expect 0 pgcask check
    finds ok "store 'one': holds repository "
    finds ok "keys: there is an identity, and no job that writes"
    expect_out "; no job writes to it, so writing was not tried"
    expect_no_out "an object was written"
    objects | diff "$dir/before" -
}

test_what_a_dead_check_left_is_told_and_mended()
{
    scene litter
    simple_config "databases = small"
    mkdir -p "$dir/one/main/check"
    chmod 700 "$dir/one" "$dir/one/main" "$dir/one/main/check"
    echo old >"$dir/one/main/check/host-1-aa"
    echo new >"$dir/one/main/check/host-2-bb"
    touch -d '2 days ago' "$dir/one/main/check/host-1-aa"
    run_expect 0 pgcask check --store one
    finds warn "store 'one': 1 object of earlier checks left behind"
    expect_out "HINT: 'pgcask check --fix' removes them"
    run_expect 0 pgcask check --store one --fix
    finds fixed "store 'one': 1 object of earlier checks removed"
    equal "$(cd "$dir/one/main/check" && echo *)" host-2-bb
}

test_keys_that_do_not_fit_are_bad()
{
    scene keys
    simple_config "databases = small"
    run_expect 0 pgcask key new --output "$dir/other.txt"
    sed -i "s,^identity_file = .*,identity_file = $dir/other.txt," "$dir/pgcask.ini"
    run_expect 1 pgcask check
    finds bad "keys: no identity of this host belongs to one of the 1 recipients"
    sed -i '/^identity_file/d' "$dir/pgcask.ini"
    run_expect 0 pgcask check
    finds ok "keys: 1 recipient; no identity on this host"
    sed -i 's/^recipient_file = .*/encrypt = none/' "$dir/pgcask.ini"
    run_expect 0 pgcask check
    finds warn "keys: encrypt = none"
}

test_a_config_that_cannot_be_used_ends_it()
{
    scene broken
    simple_config "databases = small" "stores = one three"
    run_expect 2 pgcask check
    [ ! -s "$tmp/out" ]
    expect_err "there is no store 'three'"
    simple_config "databases = small"
    sed -i 's/^path = .*/path = relative/' "$dir/pgcask.ini"
    run_expect 2 pgcask check
    simple_config "databases = small"
    rm "$dir/identity.txt"
    run_expect 2 pgcask check
    expect_err "identity.txt"
}

test_servers_that_do_not_answer_are_bad_and_the_others_are_looked_at()
{
    scene servers
    configure <<END
$(pgcask_section)
$(section "cluster down" "conninfo = host=$dir port=1 user=postgres dbname=postgres" --)
$(section "cluster wrong" "conninfo = host=127.0.0.1 port=$PGPORT user=locked dbname=postgres password=no" --)
$(section "cluster nowhere" "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=postgres" -- "bindir = $dir")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = small missing")
END
    run_expect 1 pgcask check
    finds bad "cluster 'down': could not connect to PostgreSQL"
    expect_out "HINT: is the server running, and are host and port in conninfo right?"
    finds bad "cluster 'wrong': could not connect to PostgreSQL"
    expect_no_out "password=no"
    finds ok "cluster 'nowhere': PostgreSQL "
    finds bad "cluster 'nowhere': "
    finds ok "cluster 'main': pg_dump "
    finds bad "job 'daily': database 'missing': could not connect to PostgreSQL"
    finds ok "store 'one': an object was written"
}

test_programs_that_do_not_come_through_are_bad()
{
    scene exec
    cat >"$dir/elsewhere" <<'END'
#!/bin/sh
PGHOST=/nowhere exec "$@"
END
    chmod 755 "$dir/elsewhere"
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $dir/elsewhere" "exec_conninfo = user=postgres")
$(store_section one)
$(job_section daily "databases = small")
END
    run_expect 1 pgcask check
    finds bad "cluster 'main': the programs of PostgreSQL do not come through: "
}

test_rights_that_are_missing_are_told()
{
    scene rights
    configure <<END
$(pgcask_section)
$(cluster_as app app)
$(store_section one)
$(job_section rows "cluster = app" "databases = small" "settings_files = required")
$(job_section some "cluster = app" "databases = small" "settings_files = try" "exclude_tables = public.closed")
$(job_section plan "cluster = app" "databases = small" "settings_files = no" "globals = no" "content = schema")
[check rows]
query = SELECT count(*) FROM public.t
[check none]
query = SELECT count(*) FROM public.nothing
END
    run_expect 1 pgcask check
    finds warn "job 'rows': role 'app' is no superuser: the roles are saved without their passwords"
    finds bad "job 'rows': the server's settings files cannot be saved: "
    finds warn "job 'some': the server's settings files cannot be saved: "
    finds bad "job 'rows': database 'small': role 'app' may not read 1 table, the first is public.closed"
    finds bad "job 'rows': database 'small': role 'app' does not see all rows (row level security) of 1 table, the first is public.secured"
    finds warn "job 'some': database 'small': role 'app' may not read 1 table"
    finds bad "job 'plan': database 'small': role 'app' may not read 1 table"
    finds bad "job 'rows': check 'none' in database 'small': "
    if grep 'plan' "$tmp/out" | grep -q 'row level security'; then fail "without rows there is none to hide"; fi
    if grep 'plan' "$tmp/out" | grep -q 'superuser'; then fail "roles are not saved"; fi
    if grep 'job .plan' "$tmp/out" | grep -q '^ok'; then fail "a job that will fail is called ok"; fi
    # what it says is true: the cure helps, and without it the backup fails
    run_expect 1 pgcask backup plan
    sed -i '/^\[check none\]/,$d' "$dir/pgcask.ini"
    sql small -c 'GRANT SELECT ON closed TO app' -c 'ALTER ROLE app BYPASSRLS'
    cleanup_fn sql small -c 'REVOKE SELECT ON closed FROM app' -c 'ALTER ROLE app NOBYPASSRLS'
    run_expect 1 pgcask check
    finds ok "job 'plan': 1 database with 3 tables can be dumped"
    finds bad "job 'rows': the server's settings files cannot be saved: "
    sed -i 's/^settings_files = required/settings_files = try/' "$dir/pgcask.ini"
    run_expect 0 pgcask check
    run_expect 0 pgcask backup rows
}

# build_store NAME <SOURCE - a store of that name, $dir/pgcask-NAME-storage.so
build_store()
{
    command -v "${CC%% *}" >/dev/null || skip "needs a compiler"
    cat >"$dir/$1.c"
    # shellcheck disable=SC2086 # CC may have options
    $CC -std=gnu11 -D_GNU_SOURCE -I"$top/core/include" -I"$top/tests/conform" -fPIC -shared \
        -o "$dir/pgcask-$1-storage.so" "$dir/$1.c" -lpthread
    chmod 755 "$dir/pgcask-$1-storage.so"
}
CC=${CC:-cc}

# plugin_config NAME [LINE-OF-THE-JOB…] - as simple_config, with a store of that plugin, `label = x`
plugin_config()
{
    local name=$1

    shift
    configure <<END
$(pgcask_section)
$(cluster_section)
$(section "store one" "plugin = $dir/pgcask-$name-storage.so" "label = x" --)
$(job_section daily "databases = small" "$@")
$(job_section weekly "databases = small" "keep = 90d")
END
}

test_a_store_that_overwrites_is_bad()
{
    scene replaces
    build_store faulty <<END
#define FAULT BEGIN_REPLACES
#include "conform-faulty.c"
END
    plugin_config faulty
    run_expect 1 pgcask check --store one
    finds bad "store 'one': writing it again: it was replaced, wanted a refusal"
}

test_the_store_is_asked_with_what_jobs_keep()
{
    scene asked
    build_store faulty <<END
#define FAULT NONE
#define pgcask_storage_plugin_v1 faulty_plugin
#include "conform-faulty.c"
#undef pgcask_storage_plugin_v1

static int
tell(void *handle, struct pgcask_check *check)
{
    (void)handle;
    pgcask_check_say(check, PGCASK_CHECK_WARN, NULL, "objects go after a day, kept are %lld s", (long long)pgcask_check_keep_s(check));
    if (pgcask_check_fix(check))
        pgcask_check_say(check, PGCASK_CHECK_FIXED, NULL, "that rule is gone");
    else
        pgcask_check_say(check, PGCASK_CHECK_BAD, "say --fix", "that rule is wrong");
    return 0;
}

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    static struct pgcask_storage_plugin telling;

    telling = *faulty_plugin();
    telling.check = tell;
    return &telling;
}
END
    plugin_config faulty "keep = 30d"
    run_expect 1 pgcask check --store one
    finds warn "store 'one': objects go after a day, kept are 2592000 s"
    finds bad "store 'one': that rule is wrong"
    expect_out "       HINT: say --fix"
    run_expect 0 pgcask check --store one --fix
    finds fixed "store 'one': that rule is gone"
    run_expect 0 pgcask check --store one --fix --json
    equal "$(jq -r '.[-1].outcome' "$tmp/out")" fixed
    sed -i '/^keep = /d' "$dir/pgcask.ini"
    run_expect 1 pgcask check --store one
    finds warn "kept are 0 s"
}

test_bandwidth_and_keep_are_checked_as_sizes_and_durations()
{
    scene values
    simple_config "databases = small" "keep = 30d"
    sed -i 's/^create = yes/&\nbandwidth = 10MiB/' "$dir/pgcask.ini"
    run_expect 0 pgcask config
    run_expect 0 pgcask check --store one
    sed -i 's/^bandwidth = .*/bandwidth = fast/' "$dir/pgcask.ini"
    run_expect 2 pgcask check
    expect_err "bandwidth"
    sed -i 's/^bandwidth = .*/bandwidth = 2TiB/' "$dir/pgcask.ini"
    run_expect 2 pgcask check
    simple_config "databases = small" "keep = 30"
    run_expect 2 pgcask check
    expect_err "keep"
}

start_postgres
createdb small
sql small -c 'CREATE TABLE t AS SELECT n FROM generate_series(1, 200) n' -c 'CREATE ROLE app LOGIN' \
    -c "CREATE ROLE locked LOGIN PASSWORD 'yes'" -c 'CREATE TABLE secured(a int)' \
    -c 'ALTER TABLE secured ENABLE ROW LEVEL SECURITY' -c 'CREATE TABLE closed(a int)' \
    -c 'GRANT SELECT ON t, secured TO app'
run_tests
