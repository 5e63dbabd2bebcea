#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Sync killed at many moments, stopped, out of room, and twice at once: what is visible is whole, and the next run carries
# on with what is there.

# shellcheck source=scene-sync.sh
. "$(dirname "$0")/scene-sync.sh"

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

# carried_on - the next run brings all to three and leaves nothing lying about (but the lease of a run that was killed behind
# its last step: the next backup takes it away)
carried_on()
{
    run_expect 0 pgcask sync
    expect_silent
    equal "$(rubbish three | grep -v /lease/ || :)" "" "rubbish"
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

# halfway - a sync in the background that is stopped when a member is in store two and the manifest is not; as above
halfway()
{
    sed '/^\[store two\]/a bandwidth = 256KiB' "$PGCASK_CONFIG" | configure "$dir/slow.ini"
    start_bg pgcask -c "$dir/slow.ini" sync
    stopped=$bg_pid
    cleanup_fn kill_stopped
    wait_until 60 half_there
    kill -STOP "$stopped"
    half_there || fail "it was over too soon"
}

half_there()
{
    rubbish two | grep -qv /lease/
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
    scene sweep
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    halfway
    next_second
    run_expect 0 pgcask backup
    expect_silent
    rubbish two | grep -qv /lease/ || fail "the backup has swept it"
    resume
    equal "$code" 0 "exit code of the sync"
    equal "$(where_is)" "[$everywhere,$everywhere]"
    run_expect 0 pgcask verify --all
}

test_ctrl_c_leaves_what_is_whole()
{
    scene signals
    three_stores
    run_expect 0 pgcask -c "$(only_to one)" backup
    halfway 2>"$dir/err"
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
sync_databases
run_tests "$@"
