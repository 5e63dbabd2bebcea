# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the shell tests are written with; sourced as their first step:
#
#     . "$(dirname "$0")/../lib.sh"     (from a folder below tests/)
#     requires age zstd
#
#     test_wrong_identity_is_refused()
#     {
#         run_expect 1 pgcask verify --identity "$tmp/other.key" latest
#         expect_err "no identity matched"
#     }
#
#     run_tests
#
# Each function test_* is one test: it runs in a subshell of its own with `set -e`, passes
# when it comes to its end, fails at the first command that fails, and takes its cleanups
# with it. The file ends with one line `N passed, N failed, N skipped` and exit code 0, 1,
# or 77 when nothing could run at all. Processes are ended by the pid that start_bg gave.
#
# $top      the source tree            $tmp    a throw-away directory of this file, mode 0700
# $build    the build tree (its pgcask and its programs are found first in PATH)

set -u
export LC_ALL=C.UTF-8
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${PGCASK_BUILD:-$PWD}
PATH=$build:$PATH
test_file=$(basename "$0")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-test.XXXXXX")
lib_results=$tmp/.results
: >"$lib_results"
lib_done=
lib_cleanups=()

# cleanup_fn COMMAND ARGUMENT… - run it on every way out of this test (or file), last registered first
cleanup_fn()
{
    lib_cleanups+=("$(printf '%q ' "$@")")
}

lib_run_cleanups()
{
    local i

    set +e
    for ((i = ${#lib_cleanups[@]} - 1; i >= 0; i--)); do
        eval "${lib_cleanups[i]}"
    done
    lib_cleanups=()
}

# The subshell of a test inherits neither traps nor, after this, cleanups of the file.
lib_trap()
{
    lib_cleanups=()
    # shellcheck disable=SC2064 # the command is fixed here, on purpose
    trap "$1" EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# A file that dies on the way, or forgets run_tests, has failed, whatever its last command said.
lib_leave()
{
    local code=$?

    lib_run_cleanups
    if [ -z "$lib_done" ] && [ "$code" != 77 ]; then
        echo "not ok - $test_file ended early with exit code $code" | tee -a "$lib_results"
        lib_counts
        code=1
    fi
    rm -rf "$tmp"
    exit "$code"
}
lib_trap lib_leave

# ok NAME, not_ok NAME [WHY] - one result; for rows of a table, each row is counted
ok()
{
    echo "ok - $1" | tee -a "$lib_results"
}

not_ok()
{
    echo "not ok - $1" | tee -a "$lib_results"
    [ $# -lt 2 ] || echo "    $2"
}

lib_count()
{
    grep -c "^$1 - " "$lib_results"
}

lib_counts()
{
    echo "$(lib_count ok) passed, $(lib_count 'not ok') failed, $(lib_count skip) skipped"
}

# skip REASON - leave this test (or, outside of one, the file) loudly and counted
skip()
{
    echo "skip - ${lib_test:-$test_file}: $1" | tee -a "$lib_results"
    [ -n "${lib_test:-}" ] || lib_counts
    exit 77
}

# fail REASON - leave this test as failed
fail()
{
    echo "    $1" >&2
    exit 1
}

# requires PROGRAM… - skip unless every program can be run
requires()
{
    local program

    for program; do
        command -v "$program" >/dev/null || skip "needs the program '$program'"
    done
}

# finish - the last step of a file without test functions; run_tests ends with it
finish()
{
    lib_done=1
    if [ ! -s "$lib_results" ]; then
        not_ok "$test_file" "no test ran"
    fi
    lib_counts
    [ "$(lib_count 'not ok')" = 0 ]
    exit
}

# run_tests [NAME…] - run the test functions, in the order they were written, and end the file
run_tests()
{
    local code rows

    if [ $# = 0 ]; then
        mapfile -t < <(sed -n 's/^\(test_[A-Za-z0-9_]*\) *().*/\1/p' "$0")
        set -- "${MAPFILE[@]}"
    fi
    for lib_test; do
        rows=$(wc -l <"$lib_results")
        (
            lib_trap lib_run_cleanups
            set -e
            "$lib_test"
        )
        code=$?
        case $code in
            0) ok "$lib_test" ;;
            77) [ "$(wc -l <"$lib_results")" -gt "$rows" ] || not_ok "$lib_test" "exit code 77 without a reason" ;;
            *) not_ok "$lib_test" "exit code $code" ;;
        esac
    done
    lib_test=
    finish
}

lib_show()
{
    echo "    --- stdout" >&2
    head -n 60 "$tmp/out" | sed 's/^/    /' >&2
    echo "    --- stderr" >&2
    head -n 60 "$tmp/err" | sed 's/^/    /' >&2
}

# run_expect CODE COMMAND… - run it, keep what it says in $tmp/out and $tmp/err
run_expect()
{
    local want=$1 got=0

    shift
    "$@" >"$tmp/out" 2>"$tmp/err" || got=$?
    if [ "$got" != "$want" ]; then
        echo "    exit code $got, wanted $want: $*" >&2
        lib_show
        exit 1
    fi
}

lib_expect()
{
    if ! grep -qF -e "$2" "$tmp/$1"; then
        echo "    std$1 lacks '$2'" >&2
        lib_show
        exit 1
    fi
}

lib_expect_not()
{
    if grep -qF -e "$2" "$tmp/$1"; then
        echo "    std$1 has '$2', which must not be there" >&2
        lib_show
        exit 1
    fi
}

# expect_out TEXT, expect_err TEXT - the last run_expect said so (a plain string, on one line)
expect_out() { lib_expect out "$1"; }
expect_err() { lib_expect err "$1"; }
expect_no_out() { lib_expect_not out "$1"; }
expect_no_err() { lib_expect_not err "$1"; }

# expect_silent - the last run_expect said nothing at all
expect_silent()
{
    if [ -s "$tmp/out" ] || [ -s "$tmp/err" ]; then
        echo "    not silent" >&2
        lib_show
        exit 1
    fi
}

# same FILE FILE - both hold the same bytes
same()
{
    cmp -s "$1" "$2" && return
    echo "    '$1' and '$2' differ:" >&2
    { diff -u "$1" "$2" || cmp "$1" "$2"; } 2>&1 | head -n 40 | sed 's/^/    /' >&2
    exit 1
}

# equal GOT WANTED [WHAT] - two strings
equal()
{
    [ "$1" = "$2" ] || fail "${3:-value} is '$1', wanted '$2'"
}

# expect_mode FILE 600 - permission bits
expect_mode()
{
    equal "$(stat -c %a "$1")" "$2" "mode of '$1'"
}

# wait_until SECONDS COMMAND… - poll until it succeeds; the test fails when the time is over
wait_until()
{
    local seconds=$1 deadline

    shift
    deadline=$((SECONDS + seconds + 1))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "still not true after $seconds s: $*"
        sleep 0.05
    done
}

# A process that has ended but is not collected yet still answers kill -0: its state is Z.
is_running()
{
    [ -r "/proc/$1/stat" ] && ! grep -q '^[0-9]* (.*) Z' "/proc/$1/stat" 2>/dev/null
}

lib_gone()
{
    ! is_running "$1"
}

# start_bg COMMAND… - in the background, its pid in $bg_pid; ended with the test
start_bg()
{
    "$@" &
    bg_pid=$!
    cleanup_fn stop_pid "$bg_pid"
}

# stop_pid PID - ask, wait up to 5 s, then force
stop_pid()
{
    local turn

    kill "$1" 2>/dev/null || return 0
    for ((turn = 0; turn < 100; turn++)); do
        is_running "$1" || break
        sleep 0.05
    done
    kill -KILL "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
}

# wait_gone SECONDS PID
wait_gone()
{
    wait_until "$1" lib_gone "$2"
}

# free_port - a loopback port nobody listens on, below the range of outgoing connections
free_port()
{
    local port

    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_postgres [NAME] - a server of this test's own; sets PGHOST, PGPORT, PGUSER, PGDATABASE and $pg (its pg.sh)
start_postgres()
{
    export PG_BASE=$tmp/${1:-pg}
    pg=$top/tests/pg.sh
    chmod 711 "$tmp" # the server's own user has to pass
    cleanup_fn "$pg" wipe
    "$pg" start || fail "PostgreSQL did not start"
    eval "$("$pg" env)"
}
