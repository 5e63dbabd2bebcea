#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Builds in a directory of its own and runs all tests there.
#
#   tests/run.sh [OPTIONS] [TEST…]      TEST: names as in Makefile.am, to run only these
#     --build DIR      where to build (default: build, build-clang, build-sanitizers at the top)
#     --cc COMPILER    for example clang
#     --sanitizers     with AddressSanitizer and UndefinedBehaviorSanitizer
#     --werror         compiler warnings are errors
#     --build-only     compile everything, the tests too, and run none
#     --extended       also tests/extended: servers of other Debian releases, in chroots that are made when missing
#                      (root only, 1 GiB on disk in PGCASK_SERVERS_DIR, default ~/.cache/pgcask-servers)
#     --no-deps        do not look for missing packages
#
# Ends with one line `N passed, N failed, N skipped` and exit code 1 when anything failed. A test
# program that tells its own numbers (that line, or Check's) counts with them, any other one as one.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)

usage()
{
    sed -n '/^#   tests\/run/,/^#     --no-deps/s/^#   \{0,1\}//p' "$0" >&2
    exit 2
}

build=
suffix=
configure=()
deps='test'
build_only=
extended=
while [ $# -gt 0 ]; do
    case $1 in
        --build) build=${2:?} && shift ;;
        --cc) configure+=("CC=${2:?}") && suffix=-$(basename "$2") && deps=ci && shift ;;
        --sanitizers) configure+=(--enable-sanitizers) && suffix=$suffix-sanitizers ;;
        --werror) configure+=(--enable-werror) ;;
        --build-only) build_only=1 ;;
        --extended) extended=1 ;;
        --no-deps) deps= ;;
        -*) usage ;;
        *) break ;;
    esac
    shift
done
build=${build:-$top/build$suffix}
jobs=$(nproc)

step()
{
    echo "== $*"
}

# give_up TEXT - what never came to run counts as one failure
give_up()
{
    echo "run.sh: $*"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

# count_log RESULT LOG - prints "passed failed skipped" of one test program
count_log()
{
    awk -v result="$1" '
        /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
            gsub(/,/, "")
            bad += $5 + $7
            good += $3 - $5 - $7
        }
        NF && !/ \(exit status: [0-9]+\)$/ { last = $0 } # the harness adds such a line
        END {
            skip = 0
            if (last ~ /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/) {
                split(last, word, " ")
                good = word[1]; bad = word[3]; skip = word[5]
            }
            if (result == "PASS" && good + bad + skip == 0)
                good = 1
            if (result == "SKIP" && skip == 0)
                skip = 1
            if (result != "PASS" && result != "SKIP" && bad == 0)
                bad = 1
            print good + 0, bad + 0, skip + 0
        }' "$2"
}

# The automake harness leaves NAME.trs (the verdict) and NAME.log (what was said) for each program.
summarize()
{
    local trs log result good bad skip
    local passed=0 failed=0 skipped=0

    while read -r trs; do
        log=${trs%.trs}.log
        result=$(sed -n 's/^:global-test-result: //p' "$trs")
        read -r good bad skip < <(count_log "$result" "$log" | grep . || echo 0 1 0)
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
        if [ "$bad" -gt 0 ]; then
            step "failed: ${log#"$build"/}"
            tail -n 80 "$log"
        elif [ "$skip" -gt 0 ]; then
            step "skipped in ${log#"$build"/}:"
            grep -i '^skip' "$log"
        fi
    done < <(find "$build" -name '*.trs' | sort)
    if [ "$1" != 0 ] && [ "$failed" = 0 ]; then
        echo "run.sh: make check ended with exit code $1, and no test says why; see '$build/check.log'"
        failed=1
    elif [ $((passed + failed + skipped)) = 0 ]; then
        echo "run.sh: no test ran"
        failed=1
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

# Said aloud: the first time it loads some 250 MB.
setup_servers()
{
    local script

    if [ "$(id -u)" != 0 ]; then
        step "not root: tests that need a chroot will be skipped"
        return
    fi
    for script in ceph-new.sh swift.sh; do
        step "$script setup"
        "$top/tests/servers/$script" setup || give_up "the chroot of $script could not be made"
    done
}

if [ -n "$deps" ]; then
    "$top/tests/deps.sh" "$deps" ${extended:+extended} || give_up "packages are missing"
fi
"$top/tests/build.sh" "$build" "${configure[@]}" || give_up "the build failed"
build=$(cd "$build" && pwd)
step "make the test programs"
if ! make -C "$build" -j "$jobs" check TESTS= >"$build/check.log" 2>&1; then
    tail -n 60 "$build/check.log"
    give_up "building the tests failed"
fi
if [ -n "$build_only" ]; then
    echo "1 passed, 0 failed, 0 skipped"
    exit
fi
[ -z "$extended" ] || setup_servers
step "make check"
find "$build" -name '*.trs' -exec rm -f {} +
code=0
if [ $# -gt 0 ]; then
    make -C "$build" -j "$jobs" check TESTS="$*" >"$build/check.log" 2>&1 || code=$?
else
    make -C "$build" -j "$jobs" check >"$build/check.log" 2>&1 || code=$?
    if [ -n "$extended" ]; then # one after the other: each starts servers of its own
        step "extended tests"
        make -C "$build" check TESTS="$(cd "$top" && echo tests/extended/test-*.sh)" >>"$build/check.log" 2>&1 || code=$?
    fi
fi
summarize $code
