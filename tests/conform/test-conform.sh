#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# The plugins that need no server conform, and leave nothing; the local one also where it has to do without O_TMPFILE
# and openat2. And the suite itself is worth something: it finds each fault of conform-faulty.c.
# $PGCASK: the program; $CC: the compiler.
set -eu
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir}" && pwd)
CC=${CC:-cc}
PGCASK=${PGCASK:-$top_builddir/pgcask}
umask 022
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-conform.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir -m 700 "$tmp/store"
number=0 failed=0

# result TITLE PROBLEM - PROBLEM is empty when the test passed
result()
{
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        printf '%s\n' "$2" | sed 's/^/#   /'
        failed=$((failed + 1))
    fi
}

# build FILE FLAGS-AND-SOURCES…
build()
{
    build_file=$1
    shift
    # shellcheck disable=SC2086 # CC may have options
    $CC -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -I"$top_srcdir/core/include" -fPIC -shared -o "$build_file" "$@"
}

# conforms TITLE PLUGIN ARGUMENT… - every line is ok, the plan is complete, and the exit code is 0
conforms()
{
    title=$1
    shift
    code=0
    "$PGCASK" plugin check "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
    problem=
    [ "$code" = 0 ] && [ ! -s "$tmp/err" ] || problem="exit code $code
$(grep -v '^ok' "$tmp/out")
$(cat "$tmp/err")"
    [ "$(sed -n 's/^1\.\.//p' "$tmp/out")" = "$(grep -c '^ok' "$tmp/out")" ] || problem="$problem no full plan"
    result "$title conforms" "$problem"
}

conforms local local --set path="$tmp/store"
result 'local leaves nothing behind' "$(ls -A "$tmp/store")"
conforms 'local, making its directory,' local --set path="$tmp/new/store" --set create=yes --keys 20
result 'local made its directory with mode 0700' "$([ "$(stat -c %a "$tmp/new/store")" = 700 ] || echo 'another mode')"
# a store whose objects are cold as soon as they are written, and thawed when asked for a second time
mkdir "$tmp/cold-include" "$tmp/cold"
: >"$tmp/cold-include/config.h"
build "$tmp/pgcask-cold-storage.so" -DPACKAGE_VERSION='"test"' -I"$tmp/cold-include" -I"$top_srcdir/plugins/local" \
    "$top_srcdir/tests/cold/cold.c" "$top_srcdir"/plugins/local/local-*.c
conforms 'a store that is cold at once' "$tmp/pgcask-cold-storage.so" --set path="$tmp/cold" --set create=yes --keys 20
conforms example example --set label=check

mkdir "$tmp/plain"
: >"$tmp/config.h"
build "$tmp/plain/pgcask-local-storage.so" -DLOCAL_WITHOUT_TMPFILE -DLOCAL_WITHOUT_OPENAT2 -DPACKAGE_VERSION='"0"' \
    -I"$tmp" "$top_srcdir"/plugins/local/*.c
conforms 'local without O_TMPFILE and openat2' "$tmp/plain/pgcask-local-storage.so" --set path="$tmp/store" --keys 100
result 'it leaves nothing behind' "$(ls -A "$tmp/store")"
if [ -w /dev/shm ]; then
    shm=$(mktemp -d /dev/shm/pgcask-conform.XXXXXX)
    trap 'rm -rf "$tmp" "$shm"' EXIT
    conforms 'local on tmpfs' local --set path="$shm" --keys 100
fi

# faulty FAULT FLAG SOURCE KEYS - build the plugin with that fault and check it: $code, $tmp/out and $tmp/err
faulty()
{
    mkdir -p "$tmp/$1"
    build "$tmp/$1/pgcask-faulty-storage.so" "$2" "$top_srcdir/tests/conform/$3" -lpthread
    code=0
    "$PGCASK" plugin check "$tmp/$1/pgcask-faulty-storage.so" --set label=x --keys "$4" >"$tmp/out" 2>"$tmp/err" ||
        code=$?
}

# found FAULT TITLE - the check of that title failed, and so did the command, with exit code 1
found()
{
    problem=
    grep '^not ok' "$tmp/out" | grep -qF -- "$2" && [ "$code" = 1 ] || problem="exit code $code, wanted 1 and: $2
$(grep -A1 '^not ok' "$tmp/out")
$(cat "$tmp/err")"
    result "the suite finds $1" "$problem"
}

# finds FAULT TITLE - in what a plugin must have
finds()
{
    faulty "$1" -DFAULT="$1" conform-faulty.c 1100
    found "$@"
}

# finds_more FAULT TITLE - in what it may have, or between threads
finds_more()
{
    faulty "$1" -DMORE="$1" conform-faulty-more.c 120
    found "$@"
}

mkdir "$tmp/NONE"
build "$tmp/NONE/pgcask-faulty-storage.so" -DFAULT=NONE "$top_srcdir/tests/conform/conform-faulty.c" -lpthread
conforms 'the faulty plugin without a fault' "$tmp/NONE/pgcask-faulty-storage.so" --set label=x --keys 1100
finds COMMIT_REPLACES 'of two uploads of one key the second is refused'
finds BEGIN_REPLACES 'an existing object is refused and unchanged'
finds VISIBLE_EARLY 'nothing is visible before put_commit'
finds ABORT_COMMITS 'put_abort leaves nothing'
finds PARTS_APPENDED 'parts in reverse order'
finds PARTS_APPENDED 'parts sent again'
finds EMPTY_REFUSED 'an object of 0 bytes'
finds SHORT_READ 'reading past the end fails'
finds RANGE_OFF 'every kind of range is read exactly'
finds STAT_BIGGER 'an object of 1 byte'
finds STAT_DIRECTORY 'stat and get say when an object is missing'
finds STAT_SILENT 'stat and get say when an object is missing'
finds TIME_IN_MS 'list and stat give size and time'
finds LIST_ONE_PAGE 'a long list has every object once'
finds LIST_DIRECTORY 'list finds what begins with the prefix'
finds PLUS_IS_BLANK 'odd names come back as they were'
finds CASE_FOLDED 'similar names stay apart'
finds KEYS_CUT 'names of 250 bytes and keys of 1000'
finds REMOVE_MISSING 'remove, remove again, and write again'
finds REMOVE_PREFIX 'remove takes away nothing else'
finds REMOVE_NOTHING 'everything that was made here is removed'
finds SWEEP_OBJECTS 'sweep leaves committed objects alone'
finds HANDLES_APART 'the store opens twice, and both see the same objects'
finds THREADS_LIE 'parts of one object from several threads at once'

mkdir "$tmp/NOTHING"
build "$tmp/NOTHING/pgcask-faulty-storage.so" -DMORE=NOTHING "$top_srcdir/tests/conform/conform-faulty-more.c" -lpthread
conforms 'the faulty plugin with all that it may have' "$tmp/NOTHING/pgcask-faulty-storage.so" --set label=x --keys 1100
result 'nothing of it is skipped' "$(grep '# SKIP' "$tmp/out" | grep -v 'is required')"
result 'what its check finds is told' "$(grep -qx '# check: warn: this store forgets; cure: use another' "$tmp/out" ||
    echo 'no such line')"
finds_more WHOLE_EMPTY 'put_object writes whole objects'
finds_more WHOLE_CUT 'put_object writes whole objects'
finds_more WHOLE_REPLACES 'put_object refuses a key that is taken'
finds_more WHOLE_SAME_SIZE 'put_object refuses a key that is taken'
finds_more BATCH_NOTHING 'remove_many removes what it is told, and no more'
finds_more BATCH_SILENT 'remove_many removes what it is told, and no more'
finds_more BATCH_MISSING 'remove_many removes what it is told, and no more'
finds_more BATCH_UNESCAPED 'remove_many removes what it is told, and no more'
finds_more BATCH_PREFIX 'remove_many removes what it is told, and no more'
finds_more BATCH_HUNDRED 'a long list has every object once'
finds_more TIER_COLD 'an object that must be readable at once is hot'
finds_more TIER_UNKNOWN 'an object that must be readable at once is hot'
finds_more THAW_MISSING 'thaw of an object that can be read, and of a missing one'
finds_more THAW_HOT 'thaw of an object that can be read, and of a missing one'
finds_more COLD_READ 'a cold object is refused and can be asked for'
finds_more COLD_FORGOTTEN 'a cold object is refused and can be asked for'
finds_more CHECK_NOTHING 'check tells what it finds'
finds_more CHECK_OUTCOME 'check tells what it finds'
finds_more CHECK_MENDS 'check tells what it finds'
finds_more CHECK_LITTERS 'check tells what it finds'
finds_more COMMIT_GROWS 'who looks while an object is committed sees all or nothing'
finds_more LOSER_REPLACES 'of several writers of one key at once one succeeds'

faulty SEVERAL_WIN -DMORE=SEVERAL_WIN conform-faulty-more.c 20
problem=
grep -q '^ok .* of several writers .* # SKIP the store cannot: . of 8 succeeded' "$tmp/out" ||
    problem="no such line: $(cat "$tmp/out" "$tmp/err")"
result 'a store that cannot refuse the second of two at once is told of' "$problem"

echo "1..$number"
[ "$failed" = 0 ]
