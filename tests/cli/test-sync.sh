#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Backups from store to store: what a store missed comes to it later, and a bad copy is healed from a good one.

# shellcheck source=scene-sync.sh
. "$(dirname "$0")/scene-sync.sh"

# ---- what a store missed ----

test_a_store_that_was_away_catches_up()
{
    scene away
    three_stores "create = no"
    run_expect 3 pgcask backup
    expect_err "could not open directory '$dir/three': No such file or directory, going on without that store"
    next_second
    run_expect 3 pgcask backup
    run_expect 3 pgcask sync # nothing can be done while three is away
    expect_err "going on without that store"
    mkdir "$dir/three"
    run_expect 0 pgcask list
    expect_out "one two (not in three)"
    equal "$(pgcask list --json | jq -c 'map(.missing)')" '[["three"],["three"]]'
    run_expect 0 pgcask list --store one
    expect_no_out "not in" # nobody looked
    run_expect 0 pgcask sync --dry-run
    equal "$(grep -c "^copy .*-daily to three (.*B)$" "$tmp/out")" 2
    [ ! -e "$dir/three/pgcask.json" ]
    run_expect 0 pgcask sync
    expect_silent
    equal "$(where_is)" "[$everywhere,$everywhere]"
    equal "$(pgcask list --json | jq -c 'map(.missing)')" '[[],[]]'
    run_expect 0 pgcask list
    expect_no_out "not in"
    same_copies one three
    equal "$(rubbish three)" ""
    in_sync
    run_expect 0 pgcask verify --all --deep --store three
    run_expect 0 pgcask restore latest --store three --into back
    run_expect 0 "$top/tests/compare-db.sh" bulk back
    dropdb back
    run_expect 0 pgcask backup # all three work together again
    expect_silent
}

test_newest_first_and_json()
{
    local i

    scene order
    three_stores
    for i in 1 2 3; do
        run_expect 0 pgcask -c "$(only_to one two)" backup
        next_second
    done
    pgcask list --store one --json | jq -r 'reverse | .[].id' >"$dir/ids"
    mkdir "$dir/three"
    run_expect 0 pgcask sync --dry-run --json
    equal "$(jq -r '.[].outcome' "$tmp/out" | sort -u)" planned
    run_expect 0 pgcask sync --json
    jq -r '.[].id' "$tmp/out" | diff "$dir/ids" -
    equal "$(jq -c 'map([.cluster, .store, .action, .outcome]) | unique' "$tmp/out")" '[["main","three","copy","done"]]'
    equal "$(jq 'map(.copied_bytes == .stored_size and .stored_size > 1000) | all' "$tmp/out")" true
    run_expect 0 pgcask sync --json
    equal "$(jq length "$tmp/out")" 0
    run_expect 0 pgcask -v sync
    expect_no_err "copied"
}

test_only_what_the_jobs_ask_for()
{
    scene jobs
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(store_section three)
$(job_section daily "databases = small" "stores = one two")
$(job_section weekly "databases = small" "stores = one")
END
    run_expect 0 pgcask -c "$(only_to one)" backup daily
    run_expect 0 pgcask backup weekly
    run_expect 0 pgcask sync --job weekly
    [ ! -e "$dir/two" ]
    run_expect 0 pgcask sync
    mkdir "$dir/three"
    equal "$(pgcask list --json | jq -c 'map([.job, (.stores | length)]) | sort')" '[["daily",2],["weekly",1]]'
    [ ! -e "$dir/three/pgcask.json" ]
    run_expect 2 pgcask sync --job monthly
    expect_err "there is no job 'monthly'"
    run_expect 2 pgcask sync --from one --to four
    expect_err "there is no store 'four'"
    run_expect 2 pgcask sync --from one --to one
    expect_err "from store 'one' to itself there is nothing to copy"
    run_expect 0 pgcask sync --from one --to three --job weekly
    equal "$(pgcask list --store three --json | jq -c 'map(.job)')" '["weekly"]'
    run_expect 0 pgcask sync --from one --to three
    equal "$(pgcask list --store three --json | jq -c 'map(.job) | sort')" '["daily","weekly"]'
    same_copies one three
}

test_several_clusters()
{
    scene clusters
    configure <<END
$(pgcask_section)
$(cluster_section)
$(cluster_section | sed 's/cluster main/cluster other/')
$(store_section one)
$(store_section two)
$(job_section daily "databases = small" "stores = one two")
$(job_section nightly "databases = small" "stores = one two" "cluster = other")
END
    run_expect 0 pgcask -c "$(only_to one)" backup daily
    run_expect 0 pgcask -c "$(only_to one)" backup nightly
    run_expect 0 pgcask sync --cluster other --json
    equal "$(jq -c 'map(.cluster)' "$tmp/out")" '["other"]'
    run_expect 0 pgcask sync --job nightly --json
    equal "$(jq length "$tmp/out")" 0
    run_expect 0 pgcask sync --json
    equal "$(jq -c 'map(.cluster)' "$tmp/out")" '["main"]'
    same_copies one two
    run_expect 2 pgcask sync --cluster third
    expect_err "there is no cluster 'third'"
}

test_an_optional_store_only_warns()
{
    scene optional
    three_stores "create = no" "required = no"
    run_expect 0 pgcask backup
    run_expect 0 pgcask sync
    expect_err "could not open directory '$dir/three'"
    mkdir "$dir/three"
    run_expect 0 pgcask sync
    expect_silent
    equal "$(where_is)" "[$everywhere]"
}

test_no_key_is_needed()
{
    scene nokey
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    sed -i '/^identity_file/d' "$PGCASK_CONFIG"
    rm "$dir/identity.txt"
    run_expect 0 pgcask sync
    equal "$(where_is)" "[$everywhere]"
}

test_an_emptied_store_is_not_filled_again_by_itself()
{
    scene emptied
    three_stores
    run_expect 0 pgcask backup
    rm -rf "$dir/three"
    run_expect 3 pgcask sync
    expect_err "store 'three' is empty, but backups were stored in it before"
    never test -e "$dir/three/main"
    rm "$dir/state/store-three"
    run_expect 0 pgcask sync
    equal "$(where_is)" "[$everywhere]"
}

test_another_repository_is_left_alone()
{
    scene foreign
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    sed "s,^state_dir.*,state_dir = $dir/state2,; s/^stores = .*/stores = three/" "$PGCASK_CONFIG" | configure "$dir/alone.ini"
    run_expect 0 pgcask -c "$dir/alone.ini" backup
    objects three >"$dir/before"
    run_expect 3 pgcask sync
    expect_err "store 'three' holds repository "
    objects three | diff "$dir/before" -
    equal "$(pgcask list --store two --json | jq length)" 1
}

# ---- what is bad ----

test_a_bad_copy_is_healed()
{
    local bad

    scene heal
    three_stores
    run_expect 0 pgcask backup
    bad=$(largest two)
    flip "$bad" 5000
    in_sync # nobody knows
    next_second
    run_expect 1 pgcask verify
    equal "$(where_is)" '[["one:good","two:bad","three:good"]]'
    run_expect 0 pgcask sync --dry-run
    expect_out "heal $(latest_id) in two ("
    run_expect 0 pgcask sync --json
    expect_err "store 'two': object 'main/backup/"
    expect_err "it is replaced"
    equal "$(jq -c 'map([.store, .action, .outcome])' "$tmp/out")" '[["two","heal","done"]]'
    [ "$(jq '.[0].copied_bytes' "$tmp/out")" = "$(stat -c %s "$bad")" ] || fail "more than the bad one was copied"
    equal "$(where_is)" "[$everywhere]"
    same_copies one two
    equal "$(rubbish two)" ""
    run_expect 0 pgcask verify --deep
    in_sync
}

# What is done to store two's copy; each time it is healed.
# shellcheck disable=SC2016 # for eval
damages=(
    'rm "$(largest two)"'
    'truncate -s -1 "$(largest two)"'
    'truncate -s 0 "$(largest two)"'
    'echo more >>"$(largest two)"'
    'flip "$(largest two)" 0'
    'flip "$(largest two)" 999999999'
    'find "$dir/two" -name "*.zst*" -delete'
    'echo rubbish >"$(dirname "$(largest two)")/manifest.json"'
    'flip "$(dirname "$(largest two)")/manifest.json" 300'
)

test_whatever_is_wrong_with_a_copy_is_healed()
{
    local damage

    scene damages
    three_stores
    run_expect 0 pgcask backup
    for damage in "${damages[@]}"; do
        next_second
        eval "$damage"
        run_expect 1 pgcask verify
        run_expect 0 pgcask sync
        same_copies one two
        equal "$(where_is)" "[$everywhere]"
        run_expect 0 pgcask verify
    done
}

test_a_manifest_that_is_gone_comes_back()
{
    scene gone
    three_stores
    run_expect 0 pgcask backup
    rm "$dir"/two/main/backup/*/manifest.json
    flip "$(largest two)" 777
    run_expect 0 pgcask sync --json
    equal "$(jq -c 'map([.store, .action, .outcome])' "$tmp/out")" '[["two","copy","done"]]'
    same_copies one two
    run_expect 0 pgcask verify --deep
}

# A source that nobody knew to be bad: the next one helps out, and the bad one is healed as well.
test_a_flipped_byte_in_the_source()
{
    scene source
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    flip "$(largest one)" 4000
    run_expect 0 pgcask sync --json
    expect_err "WARN: store 'one': object 'main/backup/"
    expect_err "trying the next store"
    equal "$(jq -c 'map([.store, .action, .outcome]) | sort' "$tmp/out")" '[["one","heal","done"],["three","copy","done"]]'
    equal "$(where_is)" "[$everywhere]"
    same_copies one two
    same_copies two three
    run_expect 0 pgcask verify --deep
}

# Nothing of it is made visible when no source is good.
test_the_only_source_is_bad()
{
    scene only
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    flip "$(largest one)" 4000
    next_second
    run_expect 1 pgcask sync
    expect_err "WARN: backup '$(latest_id)': store 'one': object 'main/backup/"
    expect_err "it is not copied"
    expect_err "ERROR: none of 2 backups could be brought where it should be"
    equal "$(where_is)" '[["one:bad"]]'
    run_expect 1 pgcask sync
    expect_err "every other copy of it is bad"
    run_expect 0 pgcask -c "$(only_to one)" backup
    run_expect 3 pgcask sync # the good one goes, the bad one does not
    expect_err "WARN: 2 backups could not be brought where they should be"
    equal "$(where_is)" "[[\"one:bad\"],$everywhere]"
}

# Each store has another bad member: together they have all of it.
test_two_halves_make_a_whole()
{
    scene halves
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    flip "$(largest one)" 4000
    flip "$(find "$dir/two" -name 'globals*')" 100
    run_expect 0 pgcask sync
    expect_err "trying the next store"
    run_expect 0 pgcask verify --deep --store three
    next_second
    run_expect 1 pgcask verify # two was not asked for what is bad there
    run_expect 0 pgcask sync
    run_expect 0 pgcask verify --deep
    equal "$(where_is)" "[$everywhere]"
}

# ---- copy ----

test_copy_takes_one_backup_anywhere()
{
    local id

    scene copy
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section shelf)
$(job_section daily "databases = small")
END
    run_expect 0 pgcask backup
    next_second
    run_expect 0 pgcask backup
    id=$(pgcask list --store one --json | jq -r '.[0].id')
    run_expect 0 pgcask copy "$id" --to shelf
    expect_silent
    equal "$(pgcask list --store shelf --json | jq -c 'map([.id, .state])')" "[[\"$id\",\"good\"]]"
    run_expect 0 pgcask -v copy "$id" --to shelf
    expect_err "backup '$id' is in store 'shelf' by now"
    run_expect 0 pgcask copy latest --to shelf --from one
    equal "$(pgcask list --store shelf --json | jq length)" 2
    same_copies one shelf
    run_expect 2 pgcask copy 20200101T000000Z-daily --to shelf
    expect_err "no store but 'shelf' has backup '20200101T000000Z-daily' of cluster 'main'"
    run_expect 2 pgcask copy yesterday --to shelf
    run_expect 2 pgcask copy "$id"
    expect_err "copy needs to know the store: --to NAME"
    run_expect 2 pgcask copy "$id" --to nowhere
    rm -rf "$dir/one"/main/backup/*
    run_expect 0 pgcask copy "$id" --to one --from shelf
    run_expect 0 pgcask verify "$id" --deep --store one
}

# Who asks for one backup wants to know whether it is there: one that nobody has verified is looked at.
test_copy_looks_at_what_is_there()
{
    scene doubt
    three_stores
    run_expect 0 pgcask backup
    find "$dir/two" -name 'verdict-*' -delete
    flip "$(largest two)" 4000
    in_sync
    run_expect 0 pgcask copy latest --to two
    expect_err "it is replaced"
    same_copies one two
    equal "$(where_is)" "[$everywhere]"
}

test_copy_from_a_bad_store_fails()
{
    scene copy_bad
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    flip "$(largest one)" 4000
    next_second
    run_expect 1 pgcask copy latest --to three --from one
    expect_err "it is not copied"
    expect_err "ERROR: backup '$(latest_id)' was not copied to store 'three'"
    equal "$(where_is)" '[["one:bad","two:good"]]'
    run_expect 0 pgcask copy latest --to three
    equal "$(pgcask list --store three --json | jq length)" 1
}

start_postgres
sync_databases
run_tests "$@"
