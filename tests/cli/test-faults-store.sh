#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Stores in trouble: missing, closed, full at each stage of a backup, one of two. Nothing that is
# not whole becomes visible, what was there stays, and one good store is enough for a backup.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

page=4096

# mounts_begin - a mount namespace of our own that `inside` enters
mounts_begin()
{
    local kind=-m

    [ "$(id -u)" = 0 ] || kind=-Urm
    unshare "$kind" true 2>"$tmp/unshare" || skip "no mount namespace can be made here: $(cat "$tmp/unshare")"
    start_bg unshare "$kind" sleep 600
    wait_until 30 own_namespace "$bg_pid"
    mounts_pid=$bg_pid
    if [ "$(id -u)" != 0 ]; then
        own_root
    fi
}

own_namespace()
{
    [ "$(readlink "/proc/$1/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ] && [ "$(cat "/proc/$1/comm")" = sleep ]
}

# own_root - in a user namespace root's files, / too, belong to nobody, and pgcask loads no plugin from such a place: let it
# find everything below a root that is ours, and a plugin there
own_root()
{
    mkdir -p "$tmp/root"
    entered mount -t tmpfs -o mode=0755 none "$tmp/root"
    # shellcheck disable=SC2016 # that shell's own parameters
    entered sh -c '
        mkdir "$1/plugins"
        cp "$2" "$1/plugins/"
        for top in /*; do
            if [ -L "$top" ]; then
                cp -P "$top" "$1$top"
            elif [ -d "$top" ]; then
                mkdir "$1$top"
                mount --rbind "$top" "$1$top"
            fi
        done' sh "$tmp/root" "$build/plugins/.libs/pgcask-local-storage.so"
    export PGCASK_PLUGIN_PATH=/plugins
}

entered()
{
    nsenter -t "$mounts_pid" -U --preserve-credentials -m "$@"
}

inside()
{
    if [ "$(id -u)" = 0 ]; then
        nsenter -t "$mounts_pid" -m "$@"
    else
        entered /usr/sbin/chroot "$tmp/root" "$@"
    fi
}

# mount_tmpfs DIR BYTES
mount_tmpfs()
{
    mkdir -p "$1"
    inside mount -t tmpfs -o "size=$2,mode=0700" none "$1"
}

# leave_free DIR BYTES - fill the file system there until so many whole pages are left
leave_free()
{
    # shellcheck disable=SC2016 # that shell's own parameters
    inside sh -c 'rm -f "$1/ballast"
        free=$(stat -f -c "%a" "$1") size=$(stat -f -c "%S" "$1")
        fill=$((free * size - $2))
        [ $fill -le 0 ] || head -c $fill /dev/zero >"$1/ballast"' sh "$@"
}

# files_inside DIR - all files, without our ballast
files_inside()
{
    inside find "$1" -type f ! -name ballast | sort
}

# only_the_label_inside [STORE]
only_the_label_inside()
{
    equal "$(files_inside "$dir/${1:-one}")" "$dir/${1:-one}/pgcask.json" "what the store holds"
}

# pages_of DIR - bytes that the files there take on a tmpfs
pages_of()
{
    find "$1" -type f -printf '%s\n' | awk -v page="$page" '{ sum += int(($1 + page - 1) / page) * page } END { print sum + 0 }'
}

# full_config [FILE [PATH-OF-THE-STORE [STATE-DIRECTORY]]]
full_config()
{
    configure "${1:-$dir/pgcask.ini}" <<END
$(pgcask_section "jobs = 2" "state_dir = ${3:-$dir/state}")
$(cluster_section)
$(store_section one "path = ${2:-$dir/one}")
$(job_section daily "databases = bulk" "table_size = 1MiB" "settings_files = no")
END
}

# measure - $total: bytes that a backup takes there; $manifest: those of its manifest
measure()
{
    full_config "$dir/measure.ini" "$dir/measure" "$dir/state.measure"
    run_expect 0 pgcask -c "$dir/measure.ini" backup
    find "$dir/measure" -name 'verdict-*' -delete
    total=$(pages_of "$dir/measure/main")
    manifest=$(find "$dir/measure" -name manifest.json)
    manifest=$(pages_of "$manifest")
}

test_a_directory_that_is_missing()
{
    scene missing
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one "create = no")
$(job_section daily "databases = small")
END
    run_expect 1 pgcask backup
    expect_err "ERROR: store 'one': could not open directory '$dir/one': No such file or directory"
    expect_err "HINT: make it (mode 0700), mount what should be there, or set 'create = yes'"
    [ ! -e "$dir/one" ]
    run_expect 1 pgcask list
    expect_err "could not open directory '$dir/one'"
    mkdir "$dir/one"
    run_expect 0 pgcask backup
    expect_silent
}

test_what_is_no_directory_or_open_to_all()
{
    scene nodir
    simple_config "databases = small"
    : >"$dir/one"
    run_expect 1 pgcask backup
    expect_err "ERROR: store 'one': could not open directory '$dir/one': Not a directory"
    rm "$dir/one"
    mkdir "$dir/one"
    chmod 777 "$dir/one"
    run_expect 1 pgcask backup
    expect_err "directory '$dir/one' can be written by everybody (mode 0777)"
    expect_err "HINT: chmod o-w '$dir/one'"
    equal "$(find "$dir/one" -type f)" ""
}

test_a_read_only_file_system()
{
    scene readonly
    simple_config "databases = small"
    mounts_begin
    run_expect 0 pgcask backup
    objects >"$dir/before"
    inside mount --bind "$dir/one" "$dir/one"
    inside mount -o remount,ro,bind "$dir/one"
    run_expect 1 inside pgcask backup
    expect_err "Read-only file system"
    expect_err "HINT: the file system of '$dir/one' is mounted read-only"
    run_expect 0 inside pgcask list
    run_expect 0 inside pgcask restore latest --output "$dir/got.dump"
    inside umount "$dir/one"
    objects | diff "$dir/before" -
    run_expect 0 pgcask backup
}

test_a_directory_without_permission()
{
    [ "$(id -u)" != 0 ] || return 0 # root may do all; the run as an ordinary user comes here
    scene closed
    simple_config "databases = small"
    run_expect 0 pgcask backup
    chmod 500 "$dir/one/main/backup"
    run_expect 1 pgcask backup
    expect_err "Permission denied"
    expect_err "HINT: user $(id -u) needs the right to do that; see the owner and mode of '$dir/one'"
    chmod 700 "$dir/one/main/backup"
    run_expect 0 pgcask backup
}

test_a_file_system_that_is_not_mounted()
{
    scene unmounted
    simple_config "databases = small"
    mounts_begin
    mount_tmpfs "$dir/one" 1M
    run_expect 0 inside pgcask backup
    inside umount "$dir/one"
    run_expect 1 inside pgcask backup
    expect_err "ERROR: store 'one' is empty, but backups were stored in it before"
    expect_err "HINT: is its file system mounted, is it the right place?"
    equal "$(find "$dir/one" -type f)" ""
}

test_full_at_the_start()
{
    scene full_start
    full_config
    mounts_begin
    mount_tmpfs "$dir/one" 64M
    leave_free "$dir/one" 0
    run_expect 1 inside pgcask backup
    expect_err "No space left on device"
    expect_err "HINT: the file system of '$dir/one' is full (see 'df -h' and 'df -i'): make room, or keep fewer backups"
    equal "$(files_inside "$dir/one")" ""
    inside rm "$dir/one/ballast"
    run_expect 0 inside pgcask backup
    expect_silent
}

test_full_in_the_middle()
{
    local first share

    scene full_middle
    full_config
    mounts_begin
    measure
    mount_tmpfs "$dir/one" 64M
    run_expect 0 inside pgcask backup
    first=$(files_inside "$dir/one")
    for share in 1 30 60 90; do
        leave_free "$dir/one" $((total * share / 100 / page * page))
        run_expect 1 inside pgcask backup
        expect_err "ERROR: database 'bulk': "
        expect_err "No space left on device"
        expect_err "HINT: the file system of '$dir/one' is full"
        equal "$(files_inside "$dir/one")" "$first" "what the store holds"
        equal "$(inside pgcask list --json | jq length)" 1 "backups"
    done
    run_expect 0 inside pgcask verify --deep
    inside rm "$dir/one/ballast"
    run_expect 0 inside pgcask backup
    expect_silent
    equal "$(inside pgcask list --json | jq -r 'map(.state) | join(" ")')" "good good"
}

test_full_at_the_manifest()
{
    local code=0 at_manifest='' free

    scene full_manifest
    full_config
    mounts_begin
    measure
    mount_tmpfs "$dir/one" 64M
    for ((free = total - manifest - 2 * page; free < total + 8 * page; free += page)); do
        leave_free "$dir/one" "$free"
        code=0
        inside pgcask backup >"$tmp/out" 2>"$tmp/err" || code=$?
        [ "$code" != 0 ] || break
        equal "$code" 1 "exit code with $free bytes"
        expect_err "No space left on device"
        if grep -q '^ERROR: writing the manifest: ' "$tmp/err"; then
            at_manifest=1
        fi
        if grep -q '^ERROR: the backup was written but could not be verified: ' "$tmp/err"; then # no room for the verdict
            run_expect 0 inside pgcask verify --deep --store one || :
            continue
        fi
        only_the_label_inside
        equal "$(inside pgcask list --json | jq length)" 0 "backups"
    done
    equal "$code" 0 "exit code at last"
    [ -n "$at_manifest" ] || fail "it was never the manifest that did not fit"
    run_expect 0 inside pgcask verify --deep
}

# two_stores LINE-OF-TWO… - the job writes to one and to two
two_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(store_section two "$@")
$(job_section daily "databases = bulk" "stores = one two" "table_size = 1MiB")
END
}

# degraded - exit 3: one is good, two is told as what is missing
degraded()
{
    run_expect 3 "$@"
    expect_err "WARN: "
    expect_err "store 'two'"
    expect_err "is good, but not in every required store"
    never grep -q '^ERROR' "$tmp/err"
}

test_one_of_two_that_cannot_be_opened()
{
    scene degraded
    two_stores "create = no"
    degraded pgcask backup
    expect_err "could not open directory '$dir/two': No such file or directory, going on without that store"
    equal "$(pgcask list --store one --json | jq -c 'map([.state, .stores[].store])')" '[["good","one"]]'
    run_expect 3 pgcask list
    expect_err "going on without that store"
    run_expect 3 pgcask verify
    mkdir "$dir/two"
    run_expect 0 pgcask backup
    expect_silent
    equal "$(pgcask list --json | jq -c 'map([.stores[].store])')" '[["one"],["one","two"]]'
    run_expect 0 pgcask restore latest --store two --output "$dir/got.dump"
}

test_one_of_two_that_fills_up()
{
    local share

    scene fills
    two_stores
    mounts_begin
    measure
    mount_tmpfs "$dir/two" 64M
    for share in 1 50 95; do
        leave_free "$dir/two" $((total * share / 100 / page * page))
        degraded inside pgcask backup
        expect_err "No space left on device"
        only_the_label_inside two
        equal "$(inside pgcask list --json | jq -c 'last | [.state, .stores[].store]')" '["good","one"]'
    done
    run_expect 0 inside pgcask verify --all --deep
    inside rm "$dir/two/ballast"
    run_expect 0 inside pgcask backup
    equal "$(inside pgcask list --json | jq -c 'last | [.state, .stores[].store]')" '["good","one","two"]'
}

test_one_of_two_that_is_not_required()
{
    scene optional
    two_stores "create = no" "required = no"
    run_expect 0 pgcask backup
    expect_err "WARN: store 'two': could not open directory '$dir/two': No such file or directory, going on without that store"
    equal "$(pgcask list --json 2>/dev/null | jq -c 'map([.state, .stores[].store])')" '[["good","one"]]'
}

test_both_that_fail()
{
    scene both
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one "create = no")
$(store_section two "create = no")
$(job_section daily "databases = bulk" "stores = one two")
END
    run_expect 1 pgcask backup
    expect_err "store 'one'"
    expect_err "store 'two'"
    expect_err "ERROR: "
}

test_stores_of_two_repositories_are_not_mixed()
{
    scene mixed
    two_stores
    configure "$dir/other.ini" <<END
$(pgcask_section "state_dir = $dir/state2")
$(cluster_section)
$(store_section two)
$(job_section daily "databases = small" "stores = two")
END
    run_expect 0 pgcask -c "$dir/other.ini" backup
    configure "$dir/alone.ini" <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = small" "stores = one")
END
    run_expect 0 pgcask -c "$dir/alone.ini" backup
    next_second
    run_expect 3 pgcask backup
    expect_err "store 'two' holds repository "
    expect_err "HINT: give the job an empty store, or one that was used together with the others"
    equal "$(objects two | grep -c manifest.json)" 1 "backups in two"
    echo '{"format": 7, "id": "00112233445566778899aabbccddeeff"}' >"$dir/two/pgcask.json"
    run_expect 1 pgcask -c "$dir/other.ini" backup
    expect_err "store 'two': object 'pgcask.json' has format 7, this pgcask knows 1"
    echo 'rubbish' >"$dir/two/pgcask.json"
    run_expect 1 pgcask -c "$dir/other.ini" backup
    expect_err "store 'two': object 'pgcask.json'"
    equal "$(cat "$dir/two/pgcask.json")" rubbish
}

test_a_label_that_was_lost_comes_back()
{
    scene label
    two_stores
    run_expect 0 pgcask backup
    cp "$dir/one/pgcask.json" "$dir/label"
    rm "$dir/one/pgcask.json" "$dir/two/pgcask.json"
    rm -r "$dir/state" # nor does this host know of it
    run_expect 0 pgcask list --json
    expect_err "WARN: store 'one' has lost its 'pgcask.json': its manifests say that it is repository "
    equal "$(jq -r '.[].stores[].store' "$tmp/out" | xargs)" "one two"
    [ ! -e "$dir/one/pgcask.json" ] || fail "a listing has written"
    run_expect 0 pgcask restore latest --into small_again
    dropdb small_again
    run_expect 0 pgcask check --store one
    expect_out "warn   store 'one': 'pgcask.json' was lost"
    run_expect 0 pgcask check --fix --store one
    expect_out "fixed  store 'one': 'pgcask.json' was lost"
    same "$dir/one/pgcask.json" "$dir/label"
    next_second
    run_expect 0 pgcask backup
    expect_err "WARN: store 'two' has lost its 'pgcask.json'"
    expect_err ", and it is written again"
    same "$dir/two/pgcask.json" "$dir/label"
    run_expect 0 pgcask verify --all
    equal "$(grep -c good "$tmp/out")" 4 "good copies"
}

# The ledger is a journal: it stops no backup, and does not hide why one failed.
test_a_ledger_that_cannot_be_used()
{
    scene ledger
    simple_config "databases = small"
    run_expect 0 pgcask backup
    truncate -s 40M "$dir/state/ledger.jsonl"
    next_second
    run_expect 0 pgcask backup
    expect_err "WARN: "
    expect_err "it is put aside"
    [ -e "$dir/state/ledger.jsonl.unreadable" ]
    simple_config "databases = nowhere"
    rm "$dir/state/ledger.jsonl"
    ln -s "$dir/no/such/place" "$dir/state/ledger.jsonl"
    run_expect 1 pgcask backup
    expect_err "ERROR: "
    never grep -qx 'ERROR: ' "$tmp/err"
}

test_a_full_state_directory_is_told_and_stops_no_backup()
{
    scene full_state
    full_config
    mounts_begin
    mount_tmpfs "$dir/state" 1M
    run_expect 0 inside pgcask backup
    inside rm "$dir/state/lock-main.daily"
    leave_free "$dir/state" 0
    run_expect 0 inside pgcask backup
    run_expect 1 inside pgcask check
    expect_out "bad    state directory '$dir/state': "
    expect_out "No space left on device"
    equal "$(inside pgcask list --json | jq length)" 2 "backups"
}

test_a_state_directory_that_cannot_be_made()
{
    scene state
    simple_config "databases = small"
    : >"$dir/state"
    run_expect 1 pgcask backup
    expect_err "'$dir/state"
    [ ! -e "$dir/one" ]
}

start_postgres
createdb bulk
createdb small
psql -Xq -v mib=12 -d bulk -f "$top/tests/data/bulk.sql"
run_tests
