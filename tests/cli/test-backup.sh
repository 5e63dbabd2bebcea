#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask backup, list and show: what is stored, what is said, what is never said.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

test_a_backup_into_two_stores_says_nothing()
{
    scene two
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = all" "stores = one two")
[check users]
query = SELECT count(*), 'a	tab' FROM users
database = helpdesk
END
    run_expect 0 pgcask backup
    expect_silent
    [ "$(count_backups)" = 1 ]
}

# the tests below look at what that one left

test_both_stores_hold_the_same_bytes()
{
    local object

    of_scene two
    equal "$(objects one)" "$(objects two)" "list of objects"
    for object in $(objects one); do
        same "$dir/one/$object" "$dir/two/$object"
    done
    same "$dir/one/pgcask.json" "$dir/two/pgcask.json"
}

test_nobody_else_can_read_what_was_stored()
{
    of_scene two
    equal "$(find "$dir/one" "$dir/two" "$dir/state" -type f ! -perm 600)" ""
    equal "$(find "$dir/one" "$dir/two" "$dir/state" -type d ! -perm 700)" ""
    equal "$(find "$dir/one" "$dir/two" ! -type f ! -type d)" ""
}

test_list_shows_one_line_a_backup()
{
    of_scene two
    run_expect 0 pgcask list
    [ "$(wc -l <"$tmp/out")" = 2 ]
    expect_out "$(latest_id)"
    head -n 1 "$tmp/out" | grep -q ' STATE  *STORES  *DATABASES$'
    grep -q 'daily  *dump  *all .* good  *one two  *4 databases$' "$tmp/out"
    run_expect 0 pgcask list --job daily
    [ "$(wc -l <"$tmp/out")" = 2 ]
    run_expect 2 pgcask list --job dayly
    expect_err "job 'dayly'"
    expect_err "HINT: "
}

test_list_speaks_json()
{
    of_scene two
    run_expect 0 pgcask list --json
    jq -e --arg cellar "$cellar" '
        length == 1 and .[0].job == "daily" and .[0].cluster == "main" and .[0].state == "good" and .[0].kind == "dump"
        and (.[0].databases | sort) == ([$cellar, "helpdesk", "postgres", "western"] | sort)
        and (.[0].stores | map([.store, .state])) == [["one", "good"], ["two", "good"]] and .[0].missing == []
        and .[0].plain_size > .[0].stored_size and .[0].stored_size > 1000000' "$tmp/out" >"$dir/jq"
}

test_show_tells_members_and_checks()
{
    of_scene two
    run_expect 0 pgcask show latest
    expect_out "$(latest_id)"
    expect_out "database:    $cellar ("
    expect_out "globals.sql.zst.age"
    expect_out "pg_hba.conf.zst.age"
    expect_out "helpdesk.dump.zst.age"
    grep -q '^users  *helpdesk  *600	a\\ttab$' "$tmp/out"
    expect_out "encrypted:   $(cat "$dir/recipient.txt")"
    run_expect 0 pgcask show --json "$(latest_id)"
    same "$tmp/out" "$(backup_dir)/manifest.json"
}

test_the_manifest_agrees_with_the_files()
{
    local name size

    of_scene two
    cd "$(backup_dir)"
    jq -r '.members[] | [.object, .stored_size] | @tsv' manifest.json | while IFS=$'\t' read -r name size; do
        equal "$(stat -c %s "$name")" "$size" "size of $name"
    done
    equal "$(jq '.members | length' manifest.json)" "$(find . -name '*.zst.age' | wc -l)" "members"
    # digests that other programs can check: the manifest's own, and that of each age header
    equal "sha256:$(jq -cSj 'del(.digest)' manifest.json | sha256sum | cut -d' ' -f1)" "$(jq -r .digest manifest.json)" digest
    jq -r '.members[] | [.object, .header_size, .header_digest] | @tsv' manifest.json | while IFS=$'\t' read -r name size digest; do
        equal "sha256:$(head -c "$size" "$name" | sha256sum | cut -d' ' -f1)" "$digest" "header of $name"
    done
}

test_every_member_is_read_by_age_and_zstd()
{
    local file count=0

    of_scene two
    for file in "$(backup_dir)"/*.zst.age; do
        age -d -i "$dir/identity.txt" "$file" | zstd -dq >"$dir/plain"
        case $file in
            *.dump.zst.age) pg_restore -l "$dir/plain" >"$dir/list" && grep -q '^; Archive created' "$dir/list" ;;
            *.properties.json.zst.age) jq -e '.encoding' "$dir/plain" >/dev/null ;;
            */globals.sql.zst.age) grep -q '^CREATE ROLE cellarman;' "$dir/plain" ;;
            */postgresql.conf.zst.age) same "$dir/plain" "$PG_BASE/data/postgresql.conf" ;;
            */pg_hba.conf.zst.age) same "$dir/plain" "$PG_BASE/data/pg_hba.conf" ;;
        esac || fail "'$file' cannot be read"
        count=$((count + 1))
    done
    rm "$dir/plain"
    [ "$count" -ge 12 ]
}

test_steps_are_told_with_v()
{
    scene verbose
    simple_config "databases = helpdesk"
    run_expect 0 pgcask -v backup
    [ ! -s "$tmp/out" ]
    expect_err "INFO: store 'one' is new"
    expect_err "INFO: database 'helpdesk': "
    expect_err "INFO: member 'helpdesk.dump': "
    expect_err "INFO: store 'one': backup '$(latest_id)' is as its manifest says (decrypted and decompressed)"
    expect_err "INFO: backup '$(latest_id)' is done"
    never grep -v '^INFO: ' "$tmp/err"
    run_expect 0 pgcask backup -vv
    expect_err "DEBUG: "
}

test_one_of_several_jobs_is_chosen_by_name()
{
    scene jobs
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk")
$(job_section weekly "databases = western")
END
    run_expect 2 pgcask backup
    expect_err "ERROR: the config has 2 jobs: which one?"
    run_expect 2 pgcask backup weekli
    expect_err "there is no job 'weekli'"
    expect_err "HINT: did you mean 'weekly'?"
    run_expect 0 pgcask backup weekly
    equal "$(pgcask list --json | jq -c 'map([.job, .databases])')" '[["weekly",["western"]]]'
    run_expect 0 pgcask list
    grep -q ' good  *one  *western$' "$tmp/out"
}

test_without_a_job_the_section_is_asked_for()
{
    scene jobless
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
END
    run_expect 2 pgcask backup
    expect_err "ERROR: there is no [job NAME] section in '$dir/pgcask.ini'"
}

test_less_than_a_second_is_not_told_as_none()
{
    of_scene jobs
    run_expect 0 pgcask show latest
    expect_no_out "(0.0 s)"
    jq -e '.started != .finished' "$(backup_dir)/manifest.json" >"$dir/jq" || expect_out "(< 1 s)"
}

test_several_databases_by_odd_names()
{
    scene several
    simple_config "databases = western '${cellar//\'/\'\'}'"
    run_expect 0 pgcask backup
    equal "$(pgcask list --json | jq -r '.[0].databases | join("|")')" "western|$cellar"
    run_expect 0 pgcask list
    grep -qF " western,$cellar" "$tmp/out"
    run_expect 0 pgcask backup --database helpdesk -d western
    equal "$(pgcask list --json | jq -r 'last.databases | join("|")')" "helpdesk|western"
}

test_all_leaves_out_what_is_excluded()
{
    scene all
    simple_config "databases = all" "exclude_databases = postgres '${cellar//\'/\'\'}' helpdessk"
    run_expect 0 pgcask backup
    expect_err "exclude_databases names 'helpdessk', and there is no such database"
    equal "$(pgcask list --json | jq -r '.[0].databases | join("|")')" "helpdesk|western"
}

# main_list - the table of contents of helpdesk's main member
main_list()
{
    pgcask restore "$(latest_id)" --output "$dir/main.dump"
    pg_restore -l "$dir/main.dump"
    rm "$dir/main.dump"
}

# selection_rows: what is asked for | what the list must have | what it must not have | content and selection
selection_rows='
--schema-only|TABLE public ticket |TABLE DATA|schema false
--data-only|TABLE DATA public ticket |TABLE public ticket |data false
--table public.ticket|TABLE DATA public ticket |public users |all true
-t public.t*|TABLE DATA public team |TABLE public users |all true
--exclude-table public.message|TABLE DATA public ticket |TABLE public message_rest |all true
-T public.ticket*|TABLE DATA public users |TABLE public ticket |all true
--exclude-table-data public.session|TABLE public session |TABLE DATA public session |all true
--schema-only --table public.team|TABLE public team |TABLE DATA|schema true
'

test_parts_of_a_database()
{
    local asked has lacks kind

    scene parts
    simple_config "databases = helpdesk"
    while IFS='|' read -r asked has lacks kind; do
        [ -n "$asked" ] || continue
        # shellcheck disable=SC2086 # words of a command line
        run_expect 0 pgcask backup $asked
        expect_silent
        main_list >"$dir/list"
        grep -qF "$has" "$dir/list" || fail "'$asked': '$has' is missing"
        if grep -qF "$lacks" "$dir/list"; then fail "'$asked': '$lacks' is there"; fi
        equal "$(pgcask list --json | jq -r 'last | "\(.content) \(.selection)"')" "$kind" "kind of '$asked'"
        ok "backup $asked"
    done <<<"$selection_rows"
}

test_a_table_that_is_not_there_is_an_error()
{
    scene notable
    simple_config "databases = helpdesk"
    run_expect 2 pgcask backup --table public.tikcet
    expect_err "ERROR: database 'helpdesk': no table matches 'public.tikcet'"
    run_expect 2 pgcask backup --schema-only --data-only
    expect_err "--schema-only and --data-only exclude each other"
    nothing_but_the_label
}

test_the_parts_of_a_job_come_from_its_section_too()
{
    scene section
    simple_config "databases = helpdesk" "content = schema" "exclude_tables = public.message public.session" "globals = no" \
        "settings_files = no"
    run_expect 0 pgcask backup
    equal "$(jq -r '[.members[].role] | sort | join(" ")' "$(backup_dir)/manifest.json")" "main properties"
    main_list >"$dir/list"
    grep -qF 'TABLE public ticket ' "$dir/list"
    never grep -E 'TABLE DATA|public message|public session' "$dir/list"
}

test_large_tables_are_members_of_their_own()
{
    scene large
    simple_config "databases = helpdesk '${cellar//\'/\'\'}'" "table_size = 128KiB"
    run_expect 0 pgcask backup
    jq -r '.members[] | select(.role == "table") | "\(.schema).\(.table)"' "$(backup_dir)/manifest.json" | sort >"$dir/tables"
    grep -qx 'public.ticket' "$dir/tables"
    grep -qx 'public.cask' "$dir/tables"
    never grep -qx 'public.team' "$dir/tables"
    pgcask restore latest -d helpdesk --output "$dir/main.dump"
    pg_restore -l "$dir/main.dump" >"$dir/list"
    grep -qF 'TABLE public ticket ' "$dir/list"
    never grep -qF 'TABLE DATA public ticket ' "$dir/list"
    pgcask restore latest --member helpdesk.public.ticket.dump --output "$dir/ticket.dump"
    equal "$(pg_restore -l "$dir/ticket.dump" | grep -c 'TABLE DATA')" 1 "tables with rows"
    pg_restore -l "$dir/ticket.dump" | grep -qF 'TABLE DATA public ticket '
}

test_programs_run_behind_the_exec_prefix_and_no_secret_shows()
{
    scene prefix
    sql postgres -c "CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'open''sesame \\ 1'"
    (umask 077 && echo "open'sesame \\ 1" >"$dir/password")
    cat >"$dir/wrap" <<END
#!/bin/bash
# tells what it was called with, and what anybody can see of all processes
echo "\$*" >>'$dir/calls'
for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <"\$file" 2>/dev/null; echo; done >>'$dir/seen'
exec "\$@"
END
    chmod 755 "$dir/wrap"
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=127.0.0.1 port=$PGPORT user=boss dbname=postgres" "password_file = $dir/password" \
    "exec = env PGCASK_TEST=1 $dir/wrap")
$(store_section one)
$(job_section daily "databases = helpdesk")
END
    run_expect 0 pgcask backup
    expect_silent
    grep -q '^pg_dump --format=custom ' "$dir/calls"
    grep -q '^pg_dumpall --globals-only ' "$dir/calls"
    grep -q '^pg_restore .*--list' "$dir/calls"
    run_expect 0 pgcask restore latest --into prefixed
    grep -q '^pg_restore --section=data ' "$dir/calls"
    run_expect 0 "$top/tests/compare-db.sh" helpdesk prefixed
    sql postgres -c 'DROP DATABASE prefixed'
    grep -q 'core/pgcask backup' "$dir/seen" # it would have been seen
    never grep -aF sesame "$dir/calls" "$dir/seen"
    never grep -raF sesame "$dir/one" "$dir/state"
    never grep -rF "$(grep SECRET "$dir/identity.txt")" "$dir/calls" "$dir/seen" "$dir/one" "$dir/state"
}

test_a_prefix_that_cannot_run_is_named()
{
    scene noprefix
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $dir/no-such-program --flag")
$(store_section one)
$(job_section daily "databases = helpdesk")
END
    run_expect 2 pgcask backup
    expect_err "could not start '$dir/no-such-program': No such file or directory"
    expect_err "HINT: "
}

test_checks_are_recorded_in_the_snapshot()
{
    scene checks
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $(gate pg_dump)")
$(store_section one)
$(job_section daily "databases = helpdesk western" "checks = team names")
[check team]
query = SELECT count(*) FROM team
database = helpdesk
[check names]
query = SELECT current_database(), current_setting('search_path'), NULL
[check left_out]
query = SELECT 1/0
END
    start_bg pgcask backup
    wait_until 60 test -e "$dir/arrived"
    sql helpdesk -c "INSERT INTO team (name) VALUES ('too late')"
    touch "$dir/open"
    wait "$bg_pid"
    sql helpdesk -c "DELETE FROM team WHERE name = 'too late'"
    # shellcheck disable=SC2016 # "$user" is PostgreSQL's
    equal "$(jq -c '[.checks[] | [.name, .database, .result]]' "$(backup_dir)/manifest.json")" \
        '[["team","helpdesk","8\n"],["names","helpdesk","helpdesk\t\"$user\", public\t\\N\n"],["names","western","western\t\"$user\", public\t\\N\n"]]'
    never grep -q 'too late' <(pgcask restore latest -d helpdesk --output - | pg_restore -f -)
}

test_a_check_that_fails_names_itself()
{
    scene badcheck
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk")
[check orders]
query = SELECT count(*) FROM orders
END
    run_expect 1 pgcask backup
    expect_err "check 'orders' in database 'helpdesk'"
    expect_err 'relation "orders" does not exist'
    expect_err "HINT: "
    nothing_but_the_label
}

test_settings_files_that_may_not_be_read_are_a_warning()
{
    scene settings
    sql postgres -c "CREATE ROLE plain LOGIN; GRANT pg_read_all_data TO plain" -c "CREATE DATABASE tiny"
    configure <<END
$(pgcask_section)
$(cluster_section "conninfo = host=$PGHOST port=$PGPORT user=plain dbname=tiny")
$(store_section one)
$(job_section daily "databases = tiny")
$(job_section strict "databases = tiny" "settings_files = required")
END
    run_expect 0 pgcask backup daily
    expect_err "WARN: the backup's role is no superuser: the roles are saved without their passwords"
    expect_err "the server's settings files are not in this backup"
    expect_err "HINT: "
    run_expect 1 pgcask backup strict
    expect_err "ERROR: "
    equal "$(count_backups)" 1
}

test_nothing_is_written_in_the_clear_unless_in_so_many_words()
{
    scene clear
    configure <<END
$(section pgcask "state_dir = $dir/state" --)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = western")
END
    run_expect 2 pgcask backup
    expect_err "nothing says who can read the backups"
    [ ! -e "$dir/one" ]
    configure <<END
$(section pgcask "state_dir = $dir/state" "encrypt = none" --)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = western")
END
    run_expect 0 pgcask backup
    zstd -dqc "$(backup_dir)/western.dump.zst" | pg_restore -l >"$dir/list"
    iconv -f LATIN1 -t UTF-8 "$dir/list" | grep -qF 'TABLE déjà Vü '
    run_expect 0 pgcask show latest
    expect_out "encrypted:   no"
    run_expect 0 pgcask verify --deep
    run_expect 0 pgcask restore latest --into western_clear
    run_expect 0 "$top/tests/compare-db.sh" western western_clear
    sql postgres -c 'DROP DATABASE western_clear'
}

test_a_passphrase_serves_instead_of_keys()
{
    scene passphrase
    (umask 077 && echo 'correct horse battery' >"$dir/secret")
    configure <<END
$(section pgcask "state_dir = $dir/state" "passphrase_file = $dir/secret" --)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = western" "globals = no" "settings_files = no")
END
    run_expect 0 pgcask backup
    expect_silent
    head -c 100 "$(backup_dir)/western.dump.zst.age" | grep -aq '^-> scrypt '
    run_expect 0 pgcask verify --deep
    echo 'wrong horse battery' >"$dir/secret"
    run_expect 2 pgcask verify --deep
    expect_err "passphrase"
    run_expect 0 pgcask verify
}

test_a_backup_that_shrank_is_worth_a_warning()
{
    scene shrink
    simple_config "databases = shrinking"
    createdb shrinking
    sql shrinking -c "CREATE TABLE a AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n; CREATE TABLE b AS TABLE a"
    run_expect 0 pgcask backup
    first=$(latest_id)
    run_expect 0 pgcask backup --exclude-table b
    expect_silent # a part is no measure for the whole
    sql shrinking -c "DROP TABLE a; DELETE FROM b WHERE n > 5000"
    run_expect 0 pgcask backup
    expect_err "WARN: backup '$(latest_id)' has "
    expect_err "the last good one ('$first') had "
    [ "$(wc -l <"$tmp/err")" = 1 ]
    run_expect 0 pgcask backup
    expect_silent # it has become what is usual
}

test_a_run_that_died_is_reported_by_the_next()
{
    scene died
    configure <<END
$(pgcask_section)
$(cluster_section "exec = $(gate pg_dump)")
$(store_section one)
$(job_section daily "databases = western")
END
    start_bg pgcask backup
    wait_until 60 test -e "$dir/arrived"
    kill -KILL "$bg_pid"
    wait_gone 30 "$bg_pid"
    equal "$(count_backups)" 0
    touch "$dir/open"
    run_expect 0 pgcask backup
    expect_err "WARN: run '"
    expect_err "(pid $bg_pid), died: it never recorded its end"
    [ "$(wc -l <"$tmp/err")" = 1 ]
    equal "$(find "$dir/one/main/backup" -mindepth 1 -maxdepth 1 | wc -l)" 1 "directories of backups"
    equal "$(find "$dir/one/main/lease" -type f 2>/dev/null)" ""
    run_expect 0 pgcask backup
    expect_silent
}

start_postgres
load_rich_data
run_tests
