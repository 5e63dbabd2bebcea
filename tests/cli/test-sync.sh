#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Backups from store to store: what a store missed comes to it later, a bad copy is healed from a good one, and being
# killed, running out of room or running twice does no harm.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# three_stores [LINE-OF-THREE…] - the job writes to one, two and three
three_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(store_section two)
$(store_section three "$@")
$(job_section daily "databases = bulk" "stores = one two three" "table_size = 512KiB" "settings_files = no")
END
}

# only_to STORE… - the same config, but its jobs write only there; its name
only_to()
{
    sed "s/^stores = .*/stores = $*/" "$PGCASK_CONFIG" | configure "$dir/only.ini"
    echo "$dir/only.ini"
}

# where_is - for each backup, oldest first, the stores that have it and their states
where_is()
{
    pgcask list --json | jq -c 'map([.stores[] | .store + ":" + .state])'
}
everywhere='["one:good","two:good","three:good"]'

# rubbish STORE - files that belong to no finished backup
rubbish()
{
    local object

    find "$dir/$1/main/lease" -type f 2>/dev/null || :
    find "$dir/$1/main/backup" -mindepth 1 -type d 2>/dev/null | while read -r object; do
        [ -e "$object/manifest.json" ] || find "$object" -type f
    done
}

checksums()
{
    (cd "$dir/$1" && find . -type f ! -name 'verdict-*' ! -name '.pgcask-*' -exec cksum {} + | sort -k 3)
}

# same_copies STORE STORE - the same objects with the same bytes; verdicts are each store's own
same_copies()
{
    checksums "$1" >"$dir/copies.1"
    checksums "$2" >"$dir/copies.2"
    same "$dir/copies.1" "$dir/copies.2"
}

# in_sync - nothing is left to be done
in_sync()
{
    run_expect 0 pgcask sync --dry-run
    expect_silent
}

# largest STORE - the largest member there
largest()
{
    find "$dir/$1/main/backup" -name '*.zst*' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-
}

# forget STORE - its backups are gone, and that it was used
forget()
{
    rm -rf "${dir:?}/$1" "$dir/state/store-$1"
}

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

# ---- faults ----

now_ms()
{
    local now=$EPOCHREALTIME

    echo $((${now/[.,]/} / 1000))
}

# visible_is_whole STORE
visible_is_whole()
{
    [ -e "$dir/$1/pgcask.json" ] || return 0
    run_expect 0 pgcask list --store "$1" --json
    if [ "$(jq length "$tmp/out")" != 0 ]; then
        run_expect 0 pgcask verify --all --store "$1"
    fi
}

# carried_on - the next run brings all to three and leaves nothing lying about
carried_on()
{
    run_expect 0 pgcask sync
    expect_silent
    equal "$(rubbish three)" "" "rubbish"
    same_copies one three
}

test_killed_at_24_moments()
{
    local begin total_ms i ms pid killed=0 half=0

    scene moments
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    next_second
    run_expect 0 pgcask -c "$(only_to one two)" backup
    begin=$(now_ms)
    run_expect 0 pgcask sync
    total_ms=$(($(now_ms) - begin))
    for ((i = 0; killed < 24 && i < 100; i++)); do
        forget three
        ms=$((total_ms * (i % 24) / 24))
        pgcask sync >"$dir/out" 2>&1 &
        pid=$!
        sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))" # one moment of the run
        if kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        else
            total_ms=$((total_ms * 9 / 10)) # it was measured while the machine was busier
        fi
        ended "$pid" 2>/dev/null
        [ -z "$(rubbish three)" ] || half=$((half + 1))
        visible_is_whole three
        carried_on
    done
    run_expect 0 pgcask verify --all --deep
    echo "    killed $killed times in $total_ms ms, $half times something was half there"
    [ "$killed" = 24 ] || fail "only $killed of them were killed"
    [ "$half" -gt 0 ] || fail "never was anything half there"
}

# Once at the first object that gets its name, once at the second … until a run comes through.
test_killed_at_each_object()
{
    local n

    traceable || skip "needs strace, and the right to trace"
    scene names
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    for ((n = 1; n < 100; n++)); do
        forget three
        code=0
        { # bash would tell of the killed process
            (traced -e trace=linkat -e "inject=linkat:signal=KILL:when=$n" pgcask sync >"$dir/out" 2>&1)
        } 2>/dev/null || code=$?
        [ "$code" != 0 ] || break
        equal "$code" 137 "exit code"
        visible_is_whole three
        carried_on
    done
    equal "$code" 0 "exit code of the run that came through"
    echo "    killed at each of $((n - 1)) objects"
    [ "$n" -gt 6 ]
}

test_killed_at_each_removal_of_healing()
{
    local n

    traceable || skip "needs strace, and the right to trace"
    scene removals
    three_stores
    run_expect 0 pgcask backup
    for ((n = 1; n < 100; n++)); do
        next_second
        flip "$(largest three)" 1000
        truncate -s -1 "$(find "$dir/three" -name 'globals*')"
        run_expect 1 pgcask verify --store three
        code=0
        {
            (traced -e trace=unlinkat -e "inject=unlinkat:signal=KILL:when=$n" pgcask sync >"$dir/out" 2>&1)
        } 2>/dev/null || code=$?
        run_expect 0 pgcask sync
        equal "$(where_is)" "[$everywhere]"
        same_copies one three
        run_expect 0 pgcask verify
        [ "$code" != 0 ] || break
    done
    echo "    killed at each of $((n - 1)) removals"
    [ "$n" -gt 3 ]
}

test_what_is_there_is_kept_and_what_is_bad_is_not()
{
    local member

    scene resume
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    run_expect 0 pgcask sync
    rm "$dir"/three/main/backup/*/manifest.json "$dir"/three/main/backup/*/verdict-*
    member=$(find "$dir/three" -name 'globals*')
    flip "$member" 50
    run_expect 0 pgcask sync --json
    expect_no_err WARN # of a run that was cut short nothing better is expected
    [ "$(jq '.[0].copied_bytes' "$tmp/out")" = "$(stat -c %s "$member")" ] || fail "more than the bad one was copied"
    same_copies one three
}

# stopped_sync N - a sync in the background that stops when its N-th object gets a name; its pid is $stopped, $bg_pid is that
# of who ends with it
stopped_sync()
{
    start_bg traced -e trace=linkat -e "inject=linkat:signal=STOP:when=$1" pgcask sync
    cleanup_fn kill_stopped
    wait_until 60 is_stopped
}

is_stopped()
{
    stopped=$(cat "$dir/state/sync-main.lock") && grep -q '^State:.*[Tt] (' "/proc/$stopped/status"
}

# resume - let it go on to its end, whichever of its threads stops again; its exit code is in $code then
resume()
{
    while is_running "$stopped"; do
        kill -CONT "$stopped" 2>/dev/null || :
        sleep 0.05
    done
    ended "$bg_pid"
}

kill_stopped()
{
    kill -KILL "$stopped" 2>/dev/null || :
}

test_another_sync_of_this_host_is_refused_with_4()
{
    traceable || skip "needs strace, and the right to trace"
    scene refused
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    stopped_sync 5
    run_expect 4 pgcask sync
    expect_err "ERROR: another run of sync for cluster 'main' is under way (pid $stopped)"
    run_expect 0 pgcask sync --dry-run
    resume
    equal "$code" 0 "exit code of the first run"
    equal "$(where_is)" "[$everywhere]"
}

# It has a state directory of its own, and sees the lease.
test_another_host_waits_and_then_leaves_it()
{
    traceable || skip "needs strace, and the right to trace"
    scene hosts
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    sed "s,^state_dir.*,state_dir = $dir/state2," "$PGCASK_CONFIG" | configure "$dir/host2.ini"
    stopped_sync 5
    run_expect 3 pgcask -c "$dir/host2.ini" sync --json # to three it goes
    expect_err "store 'two': another run is writing backup '$(latest_id)' there, it is not copied"
    equal "$(jq -c 'map([.store, .outcome])' "$tmp/out")" '[["two","busy"],["three","done"]]'
    run_expect 4 pgcask -c "$dir/host2.ini" copy latest --to two
    resume
    equal "$code" 0 "exit code of the first run"
    equal "$(where_is)" "[$everywhere]"
    same_copies one two
    same_copies one three
    equal "$(rubbish two)$(rubbish three)" ""
}

test_two_hosts_at_once()
{
    local first i

    scene twice
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    next_second
    run_expect 0 pgcask -c "$(only_to one)" backup
    sed "s,^state_dir.*,state_dir = $dir/state2," "$PGCASK_CONFIG" | configure "$dir/host2.ini"
    for i in 1 2 3 4; do
        forget two
        forget three
        rm -rf "$dir/state2"
        mkdir "$dir/two" "$dir/three"
        cp "$dir/one/pgcask.json" "$dir/two/"
        cp "$dir/one/pgcask.json" "$dir/three/"
        pgcask sync >"$dir/out1" 2>&1 &
        first=$!
        pgcask -c "$dir/host2.ini" sync >"$dir/out2" 2>&1 || [ $? = 3 ] || [ $? = 1 ] || fail "$(cat "$dir/out2")"
        ended "$first"
        [ "$code" != 2 ] && [ "$code" -lt 4 ]
        never grep -v "another run is writing\|could not be brought\|none of " "$dir/out1"
        never grep -v "another run is writing\|could not be brought\|none of " "$dir/out2"
        run_expect 0 pgcask sync
        equal "$(where_is)" "[$everywhere,$everywhere]"
        same_copies one two
        same_copies one three
        equal "$(rubbish two)$(rubbish three)" ""
    done
}

test_a_backup_leaves_a_copy_under_way_alone()
{
    traceable || skip "needs strace, and the right to trace"
    scene sweep
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    stopped_sync 6
    next_second
    [ -n "$(rubbish two | grep -v /lease/)" ] || fail "nothing is half there"
    run_expect 0 pgcask backup
    expect_silent
    [ -n "$(rubbish two | grep -v /lease/)" ] || fail "the backup has swept it"
    resume
    equal "$code" 0 "exit code of the sync"
    equal "$(where_is)" "[$everywhere,$everywhere]"
    run_expect 0 pgcask verify --all
}

test_ctrl_c_leaves_what_is_whole()
{
    traceable || skip "needs strace, and the right to trace"
    scene signals
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    stopped_sync 6 2>"$dir/err"
    kill -INT "$stopped"
    resume
    equal "$code" 1 "exit code"
    equal "$(cat "$dir/err")" "ERROR: stopped by a signal"
    equal "$(find "$dir" -path '*/lease/*' -type f)" ""
    [ -n "$(rubbish two)" ] || fail "nothing was kept"
    run_expect 0 pgcask sync
    same_copies one two
    same_copies one three
}

# mount_three BYTES - store three is a small file system
mount_three()
{
    [ "$(id -u)" = 0 ] || skip "only root may mount here"
    unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
    mkdir -p "$dir/three"
    start_bg unshare -m sleep 600
    mounts_pid=$bg_pid
    wait_until 30 own_namespace "$mounts_pid"
    inside mount -t tmpfs -o "size=$1,mode=0700" none "$dir/three"
}

own_namespace()
{
    [ "$(readlink "/proc/$1/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ] && [ "$(cat "/proc/$1/comm")" = sleep ]
}

inside()
{
    nsenter -t "$mounts_pid" -m "$@"
}

test_a_full_target()
{
    local size

    scene full
    three_stores
    run_expect 0 pgcask -c "$(only_to one two)" backup
    next_second
    run_expect 0 pgcask -c "$(only_to one two)" backup
    size=$(du -sB1 "$dir/one/main/backup/$(latest_id)" | cut -f 1)
    mount_three $((size * 3 / 2 / 4096 * 4096))
    run_expect 3 inside pgcask sync
    expect_err "No space left on device"
    expect_err "HINT: the file system of '$dir/three' is full"
    expect_err "WARN: 1 backup could not be brought where it should be"
    equal "$(inside pgcask list --store three --json | jq -r 'map([.id, .state] | join(" ")) | join(",")')" "$(latest_id) good"
    inside mount -o remount,size=$((size * 4)) "$dir/three"
    run_expect 0 inside pgcask sync
    equal "$(inside pgcask list --store three --json | jq length)" 2
    run_expect 0 inside pgcask verify --all --deep --store three
}

start_postgres
createdb bulk
createdb small
psql -Xq -v mib=8 -d bulk -f "$top/tests/data/bulk.sql"
sql small -c 'CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n'
run_tests "$@"
