#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# Plugins of other times, and plugins that are broken: the first must load and conform, each of the second must give one
# clear line. $PGCASK: the program; $CC: the compiler.
set -eu
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir}" && pwd)
CC=${CC:-cc}
PGCASK=${PGCASK:-$top_builddir/pgcask}
here=$top_srcdir/tests/abi
umask 022
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-abi.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
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

# build FILE SOURCE FLAGS… - against the frozen header, unless $headers says otherwise
build()
{
    build_file=$1 build_source=$2
    shift 2
    # shellcheck disable=SC2086 # CC may have options
    $CC -std=gnu11 -D_GNU_SOURCE -Wall -Werror -Wno-unused-const-variable -Wno-unused-variable \
        -I"${headers:-$here/v1}" -fPIC -shared "$@" -o "$build_file" "$build_source"
}

# loads NAME SOURCE TITLE - built, described, and found to conform
loads()
{
    file=$tmp/pgcask-$1-storage.so
    build "$file" "$2"
    problem=
    "$PGCASK" plugin info "$file" >"$tmp/out" 2>&1 || problem=$(cat "$tmp/out")
    for key in has_sweep=0 has_thaw=0 has_put_object=0 has_remove_many=0 has_check=0 option.label.required=yes "name=$1"; do
        grep -qx "$key" "$tmp/out" || problem="$problem no $key"
    done
    result "$3: it loads, and what it does not have is absent" "$problem"
    problem=
    "$PGCASK" plugin check "$file" --set label=abi --keys 50 >"$tmp/out" 2>&1 || problem=$(grep -v '^ok' "$tmp/out")
    result "$3: it conforms" "$problem"
}

# refused TITLE FILE TEXT - one ERROR line with TEXT (and a hint at most), exit code 2, no signal
refused()
{
    code=0
    "$PGCASK" plugin info "$2" >"$tmp/out" 2>"$tmp/err" || code=$?
    problem=
    [ "$code" = 2 ] || problem="exit code $code, wanted 2"
    [ ! -s "$tmp/out" ] || problem="$problem; something on stdout"
    [ "$(grep -vc '^HINT: ' "$tmp/err")" = 1 ] || problem="$problem; not one line"
    grep -q '^ERROR: ' "$tmp/err" || problem="$problem; no ERROR"
    grep -qF -- "$3" "$tmp/err" || problem="$problem; wanted '$3'"
    [ -z "$problem" ] || problem="$problem
$(cat "$tmp/err")"
    result "$1" "$problem"
}

# broken CASE TEXT FLAGS…
broken()
{
    case_name=$1 case_text=$2
    shift 2
    mkdir -p "$tmp/$case_name"
    file=$tmp/$case_name/pgcask-broken-storage.so
    build "$file" "$here/abi-broken.c" -DBROKEN="$case_name" "$@"
    refused "refused: $case_name" "$file" "$case_text"
}

loads short "$here/abi-short.c" 'a plugin with a shorter struct'
loads example "$top_srcdir/plugins/example/example.c" 'a plugin of the first header'
headers=$top_srcdir/core/include # what is later than today's is longer than that
loads long "$here/abi-long.c" 'a plugin with a longer struct'
headers=

whole=$tmp/pgcask-broken-storage.so
build "$whole" "$here/abi-broken.c" -DBROKEN=NOTHING
problem=
"$PGCASK" plugin info "$whole" >"$tmp/out" 2>&1 || problem=$(cat "$tmp/out")
result 'the plugin to be broken loads when it is whole' "$problem"

broken NO_SYMBOL "has no symbol 'pgcask_storage_plugin_v1'" -DBROKEN_ENTRY_NONE
broken WRONG_KIND "is of the wrong kind: it has 'pgcask_notifier_plugin_v1'" -DBROKEN_ENTRY_NOTIFIER
broken RETURNS_NULL "'pgcask_storage_plugin_v1' returned NULL"
broken UNDEFINED_SYMBOL 'undefined symbol: pgcask_service_of_the_future' -DBROKEN_UNDEFINED
broken STRUCT_TINY 'says its struct has 16 bytes'
broken STRUCT_HUGE 'bytes, wanted '
broken NAME_NULL 'has no name (it is NULL)'
broken NAME_BAD "has the name 'Bad Name', wanted [a-z][a-z0-9-]*"
broken NAME_OTHER "so the file must be called 'pgcask-other-storage.so'"
broken NO_CALLBACK "lacks the required callback 'put_commit'"
broken THREAD_MODEL 'has the thread model 17, wanted 0 to 2'
broken OPTIONS_NULL 'there are 3 options, but the table is NULL'
broken OPTIONS_STRIDE 'option_stride is 0, wanted sizeof(struct pgcask_option)'
broken OPTIONS_COUNT 'options, at most 1000 are allowed'
broken OPTION_NAME "'First-Name'"
broken OPTION_TWICE "'first'"
broken OPTION_TYPE "'first'"
broken OPTION_OFFSET "'first'"
broken OPTION_FALLBACK "'many'"
broken OPTION_CHOICES "'first'"
broken OPTION_OWN_KEY "option 'parallel' is one of pgcask's own keys"

file=$tmp/pgcask-elsewhere-storage.so
cp "$whole" "$file"
refused 'refused: a file with another name than the plugin' "$file" "has the name 'broken'"

chmod 664 "$whole"
refused 'refused: a file that the group may write' "$whole" 'can be written by others than its owner (mode 0664)'
chmod 644 "$whole"

mkdir "$tmp/cut"
size=$(wc -c <"$whole")
for keep in 0 40 100 700 $((size / 2)) $((size - 1)); do
    head -c "$keep" "$whole" >"$tmp/cut/pgcask-broken-storage.so"
    refused "refused: the first $keep of $size bytes" "$tmp/cut/pgcask-broken-storage.so" "plugin file '$tmp/cut/"
done

echo "1..$number"
[ "$failed" = 0 ]
