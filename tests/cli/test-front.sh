#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The installed `pgcask`: a small program that answers for WAL that was sent ahead, and passes on all else.

# shellcheck source=scene-wal.sh
. "$(dirname "$0")/scene-wal.sh"
requires readelf strace

# install_pgcask - below $root; $front is what is called, $main what does the work
install_pgcask()
{
    root=$tmp/root
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$build" install DESTDIR="$root" >"$tmp/install.log" 2>&1 ||
        fail "$(tail -n 20 "$tmp/install.log")"
    front=$(find "$root" -type f -name pgcask -path '*/bin/*')
    main=$(find "$root" -type f -name pgcask -path '*/libexec/*')
    export PGCASK_PLUGIN_PATH=$build/plugins/.libs
}

# calls COMMAND… - its exit code, and in $tmp/programs the programs that it ran
calls()
{
    local code=0

    (
        cd "$data"
        export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 # which needs ptrace for itself
        strace -f -qq -e trace=execve -e signal=none -o "$tmp/trace" "$@"
    ) >"$tmp/out" 2>"$tmp/err" || code=$?
    grep -o 'execve("[^"]*' "$tmp/trace" | sed 's/execve("//' >"$tmp/programs" || :
    return "$code"
}

# ahead NUMBER… - those segments are there; the first one is pushed, the others are sent ahead
ahead()
{
    local number

    for number; do
        segment 1 "$number"
    done
    run_expect 0 push "$(wal_name 1 "$1")"
}

test_it_loads_next_to_nothing()
{
    readelf -d "$front" | grep NEEDED >"$tmp/out"
    expect_no_out 'libpq\|libcrypto\|libcurl\|libzstd'
}

test_what_was_sent_ahead_needs_nobody_else()
{
    local name

    wal_scene sent
    ahead 1 2 3
    name=$(wal_name 1 2)
    equal "$(records | wc -l)" 2 "records"
    run_expect 0 calls "$front" -c "$dir/pgcask.ini" wal push "pg_wal/$name"
    expect_silent
    equal "$(cat "$tmp/programs")" "$front" "programs"
    equal "$(records)" "$(wal_name 1 3)" "records that are left"
    # a record counts once: now the program itself has to look
    run_expect 0 calls "$front" --config="$dir/pgcask.ini" wal push --cluster main "pg_wal/$name"
    equal "$(tail -n 1 "$tmp/programs")" "$main" "the last program"
}

test_a_doubt_is_passed_on()
{
    local name

    wal_scene doubt
    ahead 1 2 3 4 5
    name=$(wal_name 1 2)
    make_segment "$data/pg_wal/$name" 1 2 9
    run_expect 1 calls "$front" -c "$dir/pgcask.ini" wal push "pg_wal/$name"
    expect_err "has another '$name' already"
    name=$(wal_name 1 3)
    touch "$dir/pgcask.ini"
    run_expect 0 calls "$front" -c "$dir/pgcask.ini" wal push "pg_wal/$name"
    equal "$(tail -n 1 "$tmp/programs")" "$main" "behind a change of the config, the last program"
    chmod 666 "$dir/pgcask.ini"
    run_expect 2 calls "$front" -c "$dir/pgcask.ini" wal push "pg_wal/$(wal_name 1 4)"
    expect_err "others can write this file"
}

test_all_else_is_passed_on()
{
    wal_scene else
    run_expect 0 "$front" --version
    expect_out "pgcask "
    run_expect 2 "$front" wal push
    run_expect 2 "$front" -c "$dir/pgcask.ini" wal puhs x
    run_expect 126 "$front" -c "$dir/nowhere.ini" wal fetch 00000002.history x
    mv "$main" "$main.away"
    run_expect 126 "$front" -c "$dir/pgcask.ini" wal fetch 00000002.history x
    expect_err "could not run '$main'"
    mv "$main.away" "$main"
}

install_pgcask
run_tests "$@"
