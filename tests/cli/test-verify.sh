#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask verify: what it reads, what it says, and that its verdicts are remembered.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# Three backups in two stores; the tests below share them.
test_prepare()
{
    scene shared
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = small" "stores = one two" "settings_files = no")
$(job_section weekly "databases = small" "stores = one" "settings_files = no")
END
    run_expect 0 pgcask backup daily
    next_second
    run_expect 0 pgcask backup weekly
    next_second
    run_expect 0 pgcask backup daily
    equal "$(count_backups)" 3
}

# id NUMBER - of the backup at that place, from 0
id()
{
    pgcask list --json | jq -r ".[$1].id"
}

test_latest_is_what_is_verified_unless_told_otherwise()
{
    of_scene shared
    run_expect 0 pgcask verify
    equal "$(cat "$tmp/out")" "$(printf '%s one good (stored bytes)\n%s two good (stored bytes)' "$(id 2)" "$(id 2)")"
    [ ! -s "$tmp/err" ]
    cp "$tmp/out" "$dir/said"
    run_expect 0 pgcask verify latest
    same "$tmp/out" "$dir/said"
}

test_deep_reads_the_plain_bytes()
{
    of_scene shared
    run_expect 0 pgcask verify --deep
    equal "$(cat "$tmp/out")" "$(printf '%s one good (plain bytes)\n%s two good (plain bytes)' "$(id 2)" "$(id 2)")"
}

test_one_is_chosen_by_id_job_or_store()
{
    of_scene shared
    run_expect 0 pgcask verify "$(id 0)" --store two
    equal "$(cat "$tmp/out")" "$(id 0) two good (stored bytes)"
    run_expect 0 pgcask verify --job weekly
    equal "$(cat "$tmp/out")" "$(id 1) one good (stored bytes)"
    run_expect 0 pgcask verify --all --job daily
    [ "$(wc -l <"$tmp/out")" = 4 ]
    run_expect 0 pgcask verify --all
    [ "$(wc -l <"$tmp/out")" = 5 ]
    run_expect 2 pgcask verify "$(id 1)" --store two
    expect_err "has no backup '$(id 1)'"
    run_expect 2 pgcask verify 20200101T000000Z-daily
    expect_err "cluster 'main' has no backup '20200101T000000Z-daily'"
    run_expect 2 pgcask verify --all latest
    run_expect 2 pgcask verify --store three
    expect_err "there is no store 'three'"
}

test_a_verdict_is_a_new_object_each_time()
{
    local count

    of_scene shared
    count=$(find "$dir/one" -name 'verdict-*' | wc -l)
    next_second
    run_expect 0 pgcask verify "$(id 0)" --deep
    equal "$(find "$dir/one" -name 'verdict-*' | wc -l)" $((count + 1))
    jq -e --arg id "$(id 0)" '.good and .depth == "plain" and .kind == "verify" and .backup == $id' \
        "$(find "$dir/one/main/backup/$(id 0)" -name 'verdict-*' | sort | tail -n 1)" >"$dir/jq"
    equal "$(find "$dir/one" -name 'verdict-*' ! -perm 600)" ""
}

test_a_bad_copy_is_remembered_until_it_is_good_again()
{
    local file

    of_scene shared
    file=$dir/two/main/backup/$(id 0)/small.dump.zst.age
    cp "$file" "$dir/kept"
    flip "$file" 600
    next_second
    run_expect 1 pgcask verify "$(id 0)"
    expect_out "$(id 0) one good (stored bytes)"
    expect_out "$(id 0) two bad"
    expect_err "ERROR: store 'two': object 'main/backup/$(id 0)/small.dump.zst.age'"
    expect_err "ERROR: 1 of 2 copies are bad"
    run_expect 0 pgcask list
    grep -Eq "^$(id 0) .* good  +one two\\(bad\\)  +small$" "$tmp/out"
    equal "$(pgcask list --json | jq -c '.[0] | [.state, .stores[].state]')" '["good","good","bad"]'
    run_expect 0 pgcask show "$(id 0)"
    expect_out "store:       two, BAD on "
    run_expect 0 pgcask restore "$(id 0)" --output "$dir/got.dump" # the good copy serves
    rm "$dir/got.dump"
    run_expect 1 pgcask restore "$(id 0)" --store two --output "$dir/got.dump"
    expect_err "WARN: the verification of backup '$(id 0)' failed: going on because it was named"
    cp "$dir/kept" "$file"
    next_second
    run_expect 0 pgcask verify "$(id 0)"
    equal "$(pgcask list --json | jq -c '.[0] | [.state, .stores[].state]')" '["good","good","good"]'
}

test_a_backup_without_a_verdict_is_unverified()
{
    of_scene shared
    find "$dir/one/main/backup/$(id 1)" -name 'verdict-*' -delete
    equal "$(pgcask list --json | jq -r '.[1].state')" unverified
    run_expect 0 pgcask show "$(id 1)"
    expect_out "store:       one, not verified yet"
    run_expect 0 pgcask verify "$(id 1)"
    equal "$(pgcask list --json | jq -r '.[1].state')" good
}

test_a_host_without_the_identity_checks_stored_bytes()
{
    scene blind
    mv "$dir/identity.txt" "$dir/elsewhere.txt"
    configure <<END
$(section pgcask "state_dir = $dir/state" "recipient_file = $dir/recipient.txt" --)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = small")
END
    run_expect 0 pgcask backup
    expect_silent
    run_expect 0 pgcask verify
    equal "$(cat "$tmp/out")" "$(latest_id) one good (stored bytes)"
    run_expect 2 pgcask verify --deep
    expect_err "ERROR: backup '$(latest_id)' cannot be decrypted with the keys of this host"
    expect_err "HINT: set identity_file (or passphrase) in [pgcask], or verify without --deep"
    equal "$(pgcask list --json | jq -r '.[0].state')" good
    flip "$(backup_dir)/small.dump.zst.age" 600
    next_second
    run_expect 1 pgcask verify
    expect_err "small.dump.zst.age"
    run_expect 2 pgcask restore latest --output "$dir/x"
    expect_err "WARN: backup '$(pgcask list --json | jq -r '.[0].id')' is passed over: its verification failed"
    run_expect 2 pgcask restore "$(latest_id)" --into x
    expect_err "identity"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname LIKE 'x%'")" 0
}

# After a change of keys the old backups cannot be opened, which must not hide a bad one among the new.
test_all_goes_on_behind_a_backup_for_another_key()
{
    scene keys
    simple_config "databases = small"
    run_expect 0 pgcask backup
    mv "$dir/identity.txt" "$dir/old.txt"
    run_expect 0 pgcask key new --output "$dir/identity.txt"
    cp "$tmp/out" "$dir/recipient.txt"
    next_second
    run_expect 0 pgcask backup
    expect_silent
    run_expect 2 pgcask verify --all --deep
    expect_out "$(id 0) - not verified"
    expect_out "$(id 1) one good (plain bytes)"
    expect_err "ERROR: 1 backups are not verified: no key of this host opens them"
    flip "$(backup_dir)/small.dump.zst.age" 600
    run_expect 1 pgcask verify --all --deep
    expect_out "$(id 1) one bad"
    cp "$dir/old.txt" "$dir/identity.txt" # and with the wrong one, a backup says what it cannot do
    next_second
    run_expect 0 pgcask backup
    expect_err "WARN: the identity of this host does not open its own backups"
}

test_backups_of_another_cluster_are_told()
{
    of_scene shared
    configure "$dir/prod.ini" <<END
$(pgcask_section)
$(section "cluster prod" "conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=postgres" --)
$(store_section one)
$(store_section two)
$(job_section daily "cluster = prod" "databases = small" "settings_files = no")
END
    run_expect 0 pgcask -c "$dir/prod.ini" list --store two
    equal "$(cat "$tmp/out")" ""
    equal "$(cat "$tmp/err")" "WARN: store 'two' holds backups of cluster 'main', none of 'prod'"
    run_expect 1 pgcask -c "$dir/prod.ini" verify --all
    expect_err "WARN: store 'one' holds backups of cluster 'main', none of 'prod'"
    expect_err "ERROR: there is no backup to verify"
    run_expect 1 pgcask verify --all --job daily --store one --cluster main --job never
    equal "$(cat "$tmp/err")" "ERROR: there is no backup of job 'never' to verify"
}

test_an_empty_store_has_nothing_to_verify()
{
    scene empty
    simple_config "databases = small"
    mkdir "$dir/one"
    run_expect 0 pgcask list
    equal "$(cat "$tmp/out")" ""
    equal "$(cat "$tmp/err")" "WARN: store 'one' holds no backups yet: there is no repository at '$dir/one'"
    run_expect 0 pgcask list --json
    equal "$(cat "$tmp/out")" "[]"
    expect_err "WARN: store 'one' holds no backups yet"
    equal "$(find "$dir/one" -type f)" "" # looking makes nothing
    run_expect 1 pgcask verify --all
    expect_err "WARN: store 'one' holds no backups yet: there is no repository at '$dir/one'"
    expect_err "ERROR: there is no backup to verify"
    run_expect 2 pgcask verify
    expect_err "ERROR: cluster 'main' has no full backup"
    expect_err "HINT: 'pgcask list' shows what there is"
}

start_postgres
createdb small
sql small -c 'CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 2000) n'
run_tests
